"""Statistics: how sure a score is, and who is really better than whom.

`intervals`: the interval of one score. `jackknife`: how much each example moves a score, from which all
else follows. `pairs`: all differences between models on the same examples; `paired`: of two sides;
`power`: what they could have shown. `standing` and `ranks`: many models. `averages`: over tasks. `multiple`:
many questions at once. `beta` and `student`: tails and quantiles. Arrays and plain numbers in, plain numbers
out; nothing here reads a file.
"""
