//! What the library exports.

comptime {
    _ = @import("cells.zig");
    _ = @import("tallies.zig");
    _ = @import("lines.zig");
}
