"""The links of the loop: what each function does, in terms of the ports. No AWS here."""
