def to_base(n, base):
    digits = ""
    while n:
        n, digit = divmod(n, base)
        digits = digits + "0123456789abcdef"[digit]
    return digits or "0"
