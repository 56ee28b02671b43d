"""The intermediate representation: lowering, adjoints, plans, passes."""
