//! Lines that are one form with blanks filled in, read into columns.
//!
//! Strict: a line that is anything else, or a cell that this cannot be sure of, ends the reading, and the caller reads
//! the lines some other way. cells.py, which calls it, says what the fields of a task are.

const std = @import("std");

const Kind = enum(u8) { text, number, category };
const Span = extern struct { begin: u32, end: u32 };

const Task = extern struct {
    data: [*]const u8,
    size: usize,
    texts: [*]const u8,
    text_ends: [*]const u32,
    blanks: usize,
    kinds: [*]const Kind,
    kind_ends: [*]const u32,
    rows: usize,
    content: [*]u8,
    content_size: usize,
    content_ends: [*]u32,
    numbers: [*]f64,
    codes: [*]i32,
    names: [*]Span,
    name_counts: [*]u32,
    slots: [*]u32,
    slots_size: usize,
    seed: u64,
    visible: bool,
    ascii: bool,
};

const Unusual = error{Unusual};
const longest_cell = 1024;

/// Reads all rows of a task; false if they are not surely good, and then what was written means nothing.
export fn driftloop_read_cells(task: *Task) bool {
    var reader = Reader.init(task);
    for (0..task.rows) |row| reader.line(row) catch return false;
    task.visible = reader.visible;
    task.ascii = reader.others == 0;
    return reader.at == reader.data.len;
}

const Reader = struct {
    data: []const u8,
    at: usize = 0,
    visible: bool = true,
    /// Not zero if a byte beyond ASCII was seen.
    others: u16 = 0,
    rows: usize,
    blanks: usize,
    texts: []const u8,
    text_ends: []const u32,
    kinds: []const Kind,
    kind_ends: []const u32,
    content: []u8,
    content_size: usize,
    // Column after column, as many rows each.
    content_ends: []u32,
    numbers: []f64,
    codes: []i32,
    names: []Span,
    name_counts: []u32,
    slots: []u32,
    slots_size: usize,
    seed: u64,

    fn init(task: *const Task) Reader {
        const text_ends = task.text_ends[0 .. task.blanks + 1];
        const kind_ends = task.kind_ends[0..task.blanks];
        const kinds = task.kinds[0..kind_ends[task.blanks - 1]];
        var columns: [3]usize = .{ 0, 0, 0 };
        for (kinds) |kind| columns[@backingInt(kind)] += 1;
        return .{
            .data = task.data[0..task.size],
            .rows = task.rows,
            .blanks = task.blanks,
            .texts = task.texts[0..text_ends[task.blanks]],
            .text_ends = text_ends,
            .kinds = kinds,
            .kind_ends = kind_ends,
            .content = task.content[0 .. columns[0] * task.content_size],
            .content_size = task.content_size,
            .content_ends = task.content_ends[0 .. columns[0] * task.rows],
            .numbers = task.numbers[0 .. columns[1] * task.rows],
            .codes = task.codes[0 .. columns[2] * task.rows],
            .names = task.names[0 .. columns[2] * task.rows],
            .name_counts = task.name_counts[0..columns[2]],
            .slots = task.slots[0 .. columns[2] * task.slots_size],
            .slots_size = task.slots_size,
            .seed = task.seed,
        };
    }

    fn line(self: *Reader, row: usize) Unusual!void {
        var text: usize = 0;
        var kind: usize = 0;
        var columns: [3]usize = .{ 0, 0, 0 };
        for (self.text_ends[0..self.blanks], self.kind_ends) |text_end, kind_end| {
            try self.take(self.texts[text..text_end]);
            text = text_end;
            const end = self.texts[text];
            if (kind == kind_end) _ = try self.cell(end, end, '"');
            while (kind < kind_end) : (kind += 1) {
                const close = if (kind + 1 == kind_end) end else ',';
                const column = &columns[@backingInt(self.kinds[kind])];
                const place = column.* * self.rows + row;
                switch (self.kinds[kind]) {
                    .text => self.content_ends[place] = try self.copied(close, end, column.*, row),
                    .number => self.numbers[place] = try self.number(close, end),
                    .category => self.codes[place] = try self.category(close, end, column.*),
                }
                column.* += 1;
                if (close == ',') self.at += 1;
            }
        }
        try self.take(self.texts[text..]);
    }

    fn take(self: *Reader, text: []const u8) Unusual!void {
        if (!std.mem.startsWith(u8, self.data[self.at..], text)) return error.Unusual;
        self.at += text.len;
    }

    /// Everything in front of the byte that closes a cell: a comma, a quotation mark or a line end. `end` closes the blank
    /// that it is in: within the quotation marks of JSON a backslash means something else.
    inline fn cell(self: *Reader, close: u8, end: u8, comma: u8) Unusual!Span {
        const Bytes = @Vector(16, u8);
        const backslash: u8 = if (end == '"') '\\' else '"';
        const begin = self.at;
        while (self.at + 16 <= self.data.len) : (self.at += 16) {
            const bytes: Bytes = self.data[self.at..][0..16].*;
            const stops = mask(bytes < @as(Bytes, @splat(' '))) | mask(bytes == @as(Bytes, @splat('"'))) |
                mask(bytes == @as(Bytes, @splat(comma))) | mask(bytes == @as(Bytes, @splat(backslash)));
            self.others |= mask(bytes > @as(Bytes, @splat(0x7f)));
            if (stops != 0) {
                self.at += @ctz(stops);
                break;
            }
        } else while (self.at < self.data.len) : (self.at += 1) {
            const byte = self.data[self.at];
            self.others |= byte & 0x80;
            if (byte < ' ' or byte == '"' or byte == comma or byte == backslash) break;
        }
        if (self.at >= self.data.len or self.data[self.at] != close) return error.Unusual;
        return .{ .begin = @intCast(begin), .end = @intCast(self.at) };
    }

    /// Puts a text below those of its column; where it ends there.
    fn copied(self: *Reader, close: u8, end: u8, column: usize, row: usize) Unusual!u32 {
        const span = try self.cell(close, end, ',');
        const text = self.data[span.begin..span.end];
        if (text.len > longest_cell) return error.Unusual;
        var visible = true;
        for (text) |byte| visible = visible and byte > ' ' and byte < 0x7f;
        self.visible = self.visible and visible;
        const begin = if (row == 0) 0 else self.content_ends[column * self.rows + row - 1] + 1;
        if (begin + text.len >= self.content_size) return error.Unusual;
        const content = self.content[column * self.content_size ..][begin..][0 .. text.len + 1];
        @memcpy(content[0..text.len], text);
        content[text.len] = '\n';
        return begin + @as(u32, @intCast(text.len));
    }

    /// The place of a text among the distinct ones of its column.
    fn category(self: *Reader, close: u8, end: u8, column: usize) Unusual!i32 {
        const span = try self.cell(close, end, ',');
        const text = self.data[span.begin..span.end];
        if (text.len > longest_cell) return error.Unusual;
        const slots = self.slots[column * self.slots_size ..][0..self.slots_size];
        const names = self.names[column * self.rows ..][0..self.rows];
        var slot = std.hash.Wyhash.hash(self.seed, text) & (slots.len - 1);
        while (slots[slot] != 0) : (slot = (slot + 1) & (slots.len - 1)) {
            const name = names[slots[slot] - 1];
            if (std.mem.eql(u8, text, self.data[name.begin..name.end])) return @intCast(slots[slot] - 1);
        }
        const place = self.name_counts[column];
        names[place] = span;
        self.name_counts[column] = place + 1;
        slots[slot] = place + 1;
        return @intCast(place);
    }

    /// A decimal number, or NaN for a missing one.
    inline fn number(self: *Reader, close: u8, end: u8) Unusual!f64 {
        const data = self.data;
        var at = self.at;
        if (at == data.len) return error.Unusual;
        const negative = data[at] == '-';
        if (negative or data[at] == '+') at += 1;
        var mantissa: u64 = 0;
        const whole = at;
        at = addDigits(data, at, &mantissa);
        var count = at - whole;
        var exponent: i64 = 0;
        if (at < data.len and data[at] == '.') {
            const fraction = at + 1;
            at = addDigits(data, fraction, &mantissa);
            count += at - fraction;
            exponent = -@as(i64, @intCast(at - fraction));
        }
        if (count == 0) return self.missing(close, end);
        if (at < data.len and (data[at] == 'e' or data[at] == 'E')) {
            at += 1;
            const below = at < data.len and data[at] == '-';
            if (at < data.len and (data[at] == '-' or data[at] == '+')) at += 1;
            const first = at;
            var power: u64 = 0;
            at = addDigits(data, at, &power);
            if (at == first or at > first + 4) return error.Unusual;
            exponent += if (below) -@as(i64, @intCast(power)) else @as(i64, @intCast(power));
        }
        if (at == data.len or data[at] != close or at - self.at > longest_cell) return error.Unusual;
        const text = data[self.at..at];
        self.at = at;
        if (count <= 19) if (decimal(mantissa, exponent)) |size| return if (negative) -size else size;
        const value = std.fmt.parseFloat(f64, text) catch return error.Unusual;
        return if (std.math.isFinite(value)) value else error.Unusual;
    }

    fn missing(self: *Reader, close: u8, end: u8) Unusual!f64 {
        const span = try self.cell(close, end, ',');
        inline for (.{ "", "nan", "NaN", "NA", "null", "None" }) |name| {
            if (std.mem.eql(u8, self.data[span.begin..span.end], name)) return std.math.nan(f64);
        }
        return error.Unusual;
    }
};

inline fn mask(stops: @Vector(16, bool)) u16 {
    return @bitCast(stops);
}

/// Writes the digits at a place behind those of a number; where they end. More than 19 of them do not fit.
inline fn addDigits(data: []const u8, from: usize, number: *u64) usize {
    const tens = [8]u64{ 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000 };
    var at = from;
    while (at + 8 <= data.len) : (at += 8) {
        const values = std.mem.readInt(u64, data[at..][0..8], .little) ^ 0x3030303030303030;
        // The upper bit of each byte that is no digit: only from ten on 0x76 more reaches it.
        const others = (((values & 0x7f7f7f7f7f7f7f7f) + 0x7676767676767676) | values) & 0x8080808080808080;
        if (others != 0) {
            const bits: u6 = @intCast(@ctz(others) & 0x38);
            // Shifted up, they are the last of eight digits that begin with zeros.
            if (bits != 0) number.* = number.* *% tens[bits / 8] +% eightDigits(values << (63 - bits + 1));
            return at + bits / 8;
        }
        number.* = number.* *% 100_000_000 +% eightDigits(values);
    }
    while (at < data.len and std.ascii.isDigit(data[at])) : (at += 1) number.* = number.* *% 10 +% (data[at] - '0');
    return at;
}

/// Eight digits, a byte each, the first one lowest: pairs, then fours, then all, by multiplications that add neighbours.
inline fn eightDigits(values: u64) u64 {
    const pairs = (values *% 10) +% (values >> 8);
    const first = (pairs & 0x000000ff000000ff) *% (100 + (1_000_000 << 32));
    const second = ((pairs >> 16) & 0x000000ff000000ff) *% (1 + (10_000 << 32));
    return (first +% second) >> 32;
}

/// 10^k that are whole doubles.
const powers: [23]f64 = table: {
    var values: [23]f64 = undefined;
    var ten = 1;
    for (&values) |*value| {
        value.* = ten;
        ten *= 10;
    }
    break :table values;
};

const Inverse = struct { bits: u64, exponent: i32 };

/// 10^-k as 64 bits, rounded down, times a power of two.
const inverses: [28]Inverse = table: {
    @setEvalBranchQuota(10_000);
    var values: [28]Inverse = undefined;
    var five = 1;
    for (&values, 0..) |*value, k| {
        var bits = (1 << 128) / five;
        var exponent = -128 - @as(i32, k);
        while (bits >= 1 << 64) : (exponent += 1) bits /= 2;
        value.* = .{ .bits = bits, .exponent = exponent };
        five *= 5;
    }
    break :table values;
};

/// mantissa * 10^exponent rounded to the nearest double; null if it takes more than this to be sure.
inline fn decimal(mantissa: u64, exponent: i64) ?f64 {
    if (exponent > 0 or exponent <= -@as(i64, inverses.len)) return null;
    if (mantissa == 0) return 0;
    const k: usize = @intCast(-exponent);
    const zeros: u6 = @intCast(@clz(mantissa));
    // The true quotient is less than two larger than this, as the inverse is less than one too small.
    const quotient: u64 = @truncate(std.math.mulWide(u64, mantissa << zeros, inverses[k].bits) >> 64);
    const dropped: u6 = @intCast(10 + (quotient >> 63));
    const half = @as(u64, 1) << (dropped - 1);
    if ((quotient +% 1) & (half - 1) <= 1) {
        // Nearly between two doubles, or one itself. Where both numbers are doubles, the division alone rounds (Clinger 1990).
        return if (mantissa < 1 << 53 and k < powers.len) @as(f64, @floatFromInt(mantissa)) / powers[k] else null;
    }
    const kept: f64 = @floatFromInt((quotient >> dropped) + @intFromBool(quotient & half != 0));
    const power = inverses[k].exponent + 64 - @as(i32, zeros) + dropped;
    return kept * @as(f64, @bitCast(@as(u64, @intCast(1023 + power)) << 52));
}

test "decimals are those of the standard library" {
    var random = std.Random.DefaultPrng.init(std.testing.random_seed);
    var text: [64]u8 = undefined;
    var sure: usize = 0;
    for (0..1_000_000) |_| {
        const mantissa = random.random().int(u64) >> random.random().int(u6);
        const exponent = random.random().intRangeAtMost(i64, -30, 2);
        const value = decimal(mantissa, exponent) orelse continue;
        const written = try std.fmt.bufPrint(&text, "{d}e{d}", .{ mantissa, exponent });
        try std.testing.expectEqual(try std.fmt.parseFloat(f64, written), value);
        sure += 1;
    }
    try std.testing.expect(sure > 800_000);
}

test "rows of lines of one form" {
    const data = "\"t1,north,-1.5e1\"\n\"t22,south,NaN\"\n\"t3,north,0.1000000000000000055511151231257827\"\n";
    const kinds = [_]Kind{ .text, .category, .number };
    var content: [16]u8 = undefined;
    var ends: [3]u32 = undefined;
    var numbers: [3]f64 = undefined;
    var codes: [3]i32 = undefined;
    var names: [3]Span = undefined;
    var name_counts = [_]u32{0};
    var slots: [8]u32 = @splat(0);
    var task: Task = .{
        .data = data,
        .size = data.len,
        .texts = "\"\"\n",
        .text_ends = &.{ 1, 3 },
        .blanks = 1,
        .kinds = &kinds,
        .kind_ends = &.{3},
        .rows = 3,
        .content = &content,
        .content_size = content.len,
        .content_ends = &ends,
        .numbers = &numbers,
        .codes = &codes,
        .names = &names,
        .name_counts = &name_counts,
        .slots = &slots,
        .slots_size = slots.len,
        .seed = std.testing.random_seed,
        .visible = false,
        .ascii = false,
    };
    try std.testing.expect(driftloop_read_cells(&task));
    try std.testing.expectEqualStrings("t1\nt22\nt3", content[0..ends[2]]);
    try std.testing.expectEqual([_]i32{ 0, 1, 0 }, codes);
    try std.testing.expectEqual(-15, numbers[0]);
    try std.testing.expect(std.math.isNan(numbers[1]));
    try std.testing.expectEqual(0.1, numbers[2]);
    try std.testing.expect(task.visible and task.ascii);
}
