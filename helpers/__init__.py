"""The steps that the notebooks use but do not teach, one idea in each file.

checkpoint    a checkpoint that cannot be lost; notebooks 7 and 8 teach it
data          the digits images, and their batches
models        the networks that the notebooks train
training      a training loop, and the accuracy of a model
plots         figures in one style
workspace     a temporary folder to work in
processes     a script in a separate process, or in several
inspection    identify a file, check it, and find the lines that load it
formats       the kinds of file that inspection recognises
pickles       what a pickle holds and asks for, read without executing it
errors        find the entries of the two indexes that fit an error or a task
devices       files that were saved on a GPU, or look as if they were
"""
