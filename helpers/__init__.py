"""What the notebooks need and do not teach: one idea a file.

checkpoint    a checkpoint that cannot be lost (this one notebooks 7 and 8 do teach)
data          the digits images, and their batches
models        the networks that the notebooks train
training      a training loop, and the accuracy
plots         figures in one style
workspace     a temporary folder to work in
processes     a script in a process of its own, or in several
inspection    what a file is, without loading it
devices       the accelerator, or a file that looks as if it came from one
"""
