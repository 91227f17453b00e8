"""boto3 adapters of the ports. Thin: no decision is made here."""
