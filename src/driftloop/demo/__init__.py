"""The demo: the whole loop on a year of real flights, in the embedded AWS."""
