"""Code that is compiled (``*.zig``) and called through ctypes, which gives the interpreter's lock away meanwhile.

Whoever uses it does without where it is not built, as in SageMaker's containers: its modules raise ImportError there.
"""
