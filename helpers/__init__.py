"""What the notebooks need and do not teach: one idea a file.

data          the digits images, and their batches
models        the networks that the notebooks train
training      a training loop, and the accuracy
plots         figures in one style
workspace     a temporary folder to work in
processes     a script in a fresh Python process
inspection    what a file is, without loading it
devices       the accelerator, or a file that looks as if it came from one
"""
