//! Lines of text: how many there are, and their hashes.

const std = @import("std");

export fn driftloop_line_ends(data: [*]const u8, size: usize) usize {
    return std.mem.countScalar(u8, data[0..size], '\n');
}

/// CRC-32 of each line of a text without a line end at its end; false if there are other than so many lines.
export fn driftloop_line_hashes(data: [*]const u8, size: usize, hashes: [*]u32, count: usize) bool {
    var lines = std.mem.splitScalar(u8, data[0..size], '\n');
    for (hashes[0..count]) |*hash| hash.* = std.hash.Crc32.hash(lines.next() orelse return false);
    return lines.next() == null;
}

test "lines and their hashes" {
    const text = "one\n\nthree";
    var hashes: [3]u32 = undefined;
    try std.testing.expectEqual(2, driftloop_line_ends(text, text.len));
    try std.testing.expect(driftloop_line_hashes(text, text.len, &hashes, 3));
    try std.testing.expectEqual([_]u32{ 0x7a6c86f1, 0, std.hash.Crc32.hash("three") }, hashes);
    try std.testing.expect(!driftloop_line_hashes(text, text.len, &hashes, 2));
}
