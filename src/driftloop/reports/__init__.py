"""The report page: what one run of the whole loop did, for people, in one file without network."""
