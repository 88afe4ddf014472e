"""Terms: decide what each column of a table is, and what the model is made of."""
