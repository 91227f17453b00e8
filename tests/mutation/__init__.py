"""Mutation testing of the decision and the state machine: would their tests notice if the code were wrong?"""
