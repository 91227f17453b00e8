"""The two kinds of stack: one platform, one per model. They only compose."""
