"""The honest gate, pure: may a challenger replace the champion?"""
