"""Statistics: how sure a score is, and who is really better than whom.

`intervals`: the interval of one score. `jackknife`: how much each example moves a score, from which all
else follows. `paired`: two sides on the same examples. `standing` and `ranks`: many models. `multiple`: many
questions at once. Arrays and plain numbers in, plain numbers out; nothing here reads a file.
"""
