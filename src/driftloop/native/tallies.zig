//! A histogram and moments of some numbers. NaN stands for a missing one.

const std = @import("std");

const Tally = extern struct {
    values: [*]const f64,
    size: usize,
    edges: [*]const f64,
    edges_size: usize,
    origin: f64,
    step: f64,
    counts: [*]i64,
    known: i64,
    low: f64,
    high: f64,
    total: f64,
    squares: f64,
    exact: bool,
};

/// More than fit into one register, so that one sum does not wait for the other.
const lanes = 16;
const Values = @Vector(lanes, f64);
const Counts = @Vector(lanes, i64);
/// Adding and subtracting it rounds what is far smaller to whole numbers, halves to even ones.
const rounder: Values = @splat(1.5 * (1 << 52));

/// Each of some tasks.
export fn driftloop_tally(tasks: [*]Tally, count: usize) void {
    for (tasks[0..count]) |*task| tally(task);
}

fn tally(task: *Tally) void {
    const values = task.values[0..task.size];
    const edges = task.edges[0..task.edges_size];
    const counts = task.counts[0 .. edges.len + 2];
    var lows: Values = @splat(std.math.inf(f64));
    var highs: Values = -lows;
    var known: Counts = @splat(0);
    var at: usize = 0;
    while (at < values.len) : (at += lanes) {
        const some = load(values, at);
        lows = @select(f64, some < lows, some, lows);
        highs = @select(f64, some > highs, some, highs);
        known +%= ones(some == some);
    }
    task.known = @reduce(.Add, known);
    // Zero has no sign here, whichever came first.
    task.low = @reduce(.Min, lows) + 0.0;
    task.high = @reduce(.Max, highs) + 0.0;
    // Counting what lies beyond each edge beats looking for the cell of each value. What is missing is beyond none.
    var beyond = task.known;
    for (edges, counts[0..edges.len]) |edge, *count| {
        const more = above(values, edge);
        count.* = beyond - more;
        beyond = more;
    }
    counts[edges.len] = beyond;
    counts[edges.len + 1] = @as(i64, @intCast(values.len)) - task.known;
    moments(task, values);
}

/// How many values are larger than an edge.
fn above(values: []const f64, edge: f64) i64 {
    var found: Counts = @splat(0);
    var at: usize = 0;
    while (at < values.len) : (at += lanes) found +%= ones(load(values, at) > @as(Values, @splat(edge)));
    return @reduce(.Add, found);
}

/// Sums of steps from the origin and of their squares, which are exact in any order while they are small enough.
fn moments(task: *Tally, values: []const f64) void {
    // The step is a power of two, so that this is what division gives.
    const inverse = 1 / task.step;
    const peak = @max(@abs(task.low - task.origin), @abs(task.high - task.origin)) * inverse + 1;
    task.exact = task.known == 0 or peak * peak * @as(f64, @floatFromInt(values.len)) < 1 << 53;
    var total: Values = @splat(0);
    var squares: Values = @splat(0);
    var at: usize = 0;
    while (task.exact and at < values.len) : (at += lanes) {
        const some = load(values, at);
        const scaled = (some - @as(Values, @splat(task.origin))) * @as(Values, @splat(inverse));
        const steps = @select(f64, some == some, (scaled + rounder) - rounder, @as(Values, @splat(0)));
        total += steps;
        squares += steps * steps;
    }
    task.total = @reduce(.Add, total);
    task.squares = @reduce(.Add, squares);
}

/// Some values from a place on; missing ones behind the end.
inline fn load(values: []const f64, at: usize) Values {
    if (at + lanes <= values.len) return values[at..][0..lanes].*;
    var some: [lanes]f64 = @splat(std.math.nan(f64));
    @memcpy(some[0 .. values.len - at], values[at..]);
    return some;
}

inline fn ones(which: @Vector(lanes, bool)) Counts {
    return @select(i64, which, @as(Counts, @splat(1)), @as(Counts, @splat(0)));
}

test "a tally of numbers, one of which is missing" {
    const values = [_]f64{ -1, 0, 0.5, 1, std.math.nan(f64), 7.25, 2 };
    const edges = [_]f64{ 0, 1, 5 };
    var counts: [5]i64 = undefined;
    var task: Tally = undefined;
    task.values = &values;
    task.size = values.len;
    task.edges = &edges;
    task.edges_size = edges.len;
    task.origin = 0;
    task.step = 0.5;
    task.counts = &counts;
    driftloop_tally(@ptrCast(&task), 1);
    try std.testing.expectEqual([_]i64{ 2, 2, 1, 1, 1 }, counts);
    try std.testing.expectEqual(6, task.known);
    try std.testing.expectEqual(-1, task.low);
    try std.testing.expectEqual(7.25, task.high);
    // In halves, and halves of them to the even one: -2, 0, 1, 2, 14, 4.
    try std.testing.expectEqual(19, task.total);
    try std.testing.expectEqual(221, task.squares);
}
