# %% package: fixes the batch size to that of the example
# gets 0 of 4: the package refuses a batch of 4
def package(model, images, path):
    example = torch.zeros(2, *images.shape[1:])
    torch.export.save(torch.export.export(copy.deepcopy(model).eval(), (example,)), path)


# %% package: forgets eval
# gets 0 of 4: for a batch of 4, the model in eval mode begins with
def package(model, images, path):
    example = (torch.zeros(2, *images.shape[1:]),)
    batch = torch.export.Dim("batch")
    program = torch.export.export(copy.deepcopy(model), example, dynamic_shapes=({0: batch},))
    torch.export.save(program, path)


# %% package: leaves the model in eval mode
# gets 1 of 4: the training flags of the layers were
def package(model, images, path):
    example = (torch.zeros(2, *images.shape[1:], dtype=images.dtype),)
    batch = torch.export.Dim("batch")
    program = torch.export.export(model.eval(), example, dynamic_shapes=({0: batch},))
    torch.export.save(program, path)


# %% package: uses floating-point numbers in the example, whatever the pictures contain
# gets 1 of 4: uint8
def package(model, images, path):
    example = (torch.zeros(2, *images.shape[1:]),)
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        copy.deepcopy(model).eval(), example, dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)


# %% package: sends a customer's picture, twice to have two
# gets 1 of 4: the customer's picture is in the package
def package(model, images, path):
    example = (torch.cat([images, images]),)
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        copy.deepcopy(model).eval(), example, dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)


# %% package: makes the example as large as the customer's batch
# gets 1 of 4: Constraints violated (batch)
def package(model, images, path):
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        copy.deepcopy(model).eval(), (torch.zeros_like(images),), dynamic_shapes=({0: batch},)
    )
    torch.export.save(program, path)


# %% package: puts all layers into train mode afterwards
# gets 1 of 4: the training flags of the layers were
def package(model, images, path):
    example = (torch.zeros(2, *images.shape[1:]),)
    batch = torch.export.Dim("batch")
    was = model.training
    program = torch.export.export(model.eval(), example, dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    model.train(was)


# %% clean: writes it again and thinks that this is enough
# gets 0 of 3: a line of the source code, with the words 'our secret'
def clean(path, cleaned):
    torch.export.save(torch.export.load(path), cleaned)


# %% clean: forgets the example inputs
# gets 1 of 3: the first of the two example inputs is still in
def clean(path, cleaned):
    program = torch.export.load(path)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, cleaned)


# %% clean: forgets the graphs of the branches
# gets 1 of 3: a package with torch.cond: a line of the source code is still in
def clean(path, cleaned):
    program = torch.export.load(path)
    program.example_inputs = None
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, cleaned)


# %% clean: forgets the lines of the source
# gets 0 of 3: a line of the source code, with the words 'our secret'
def clean(path, cleaned):
    program = torch.export.load(path)
    program.example_inputs = None
    torch.export.save(program, cleaned)


# %% clean: exports it again, with another example and one batch size
# gets 0 of 3: the cleaned package refuses a batch of 3
def clean(path, cleaned):
    program = torch.export.load(path)
    args, _ = program.example_inputs
    program = torch.export.export(program.module(), tuple(torch.zeros_like(a) for a in args))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, cleaned)


# %% to-onnx: leaves the weights in a second file
# gets 0 of 4: expected only seen.onnx in the folder
def to_onnx(model, example, path):
    torch.onnx.export(
        copy.deepcopy(model).eval(),
        (example,),
        path,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        verbose=False,
    )


# %% to-onnx: fixes the batch size to that of the example
# gets 1 of 4: the file refuses a batch of 1
def to_onnx(model, example, path):
    torch.onnx.export(
        copy.deepcopy(model).eval(),
        (example,),
        path,
        input_names=["images"],
        output_names=["logits"],
        external_data=False,
        verbose=False,
    )


# %% to-onnx: sets no names
# gets 0 of 4: expected the names images and logits
def to_onnx(model, example, path):
    batch = torch.export.Dim("batch")
    model = copy.deepcopy(model).eval()
    torch.onnx.export(
        model,
        (example,),
        path,
        dynamic_shapes=({0: batch},),
        external_data=False,
        verbose=False,
    )


# %% to-onnx: leaves the model in eval mode
# gets 1 of 4: the training flags of the layers were
def to_onnx(model, example, path):
    torch.onnx.export(
        model.eval(),
        (example,),
        path,
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        verbose=False,
    )


# %% agrees: compares the labels and not the numbers
# gets 0 of 3: the weights are twice those in the file, with the same labels: expected False
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = copy.deepcopy(model).eval()(images).detach().numpy()
    return bool((theirs.argmax(1) == ours.argmax(1)).all())


# %% agrees: requires equal bits
# gets 1 of 3: expected True, got False
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = copy.deepcopy(model).eval()(images).detach().numpy()
    return np.array_equal(theirs, ours)


# %% agrees: uses the model in the mode that it is in
# gets 1 of 3: the same weights: expected True
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = model(images).detach().numpy()
    return theirs.shape == ours.shape and np.allclose(theirs, ours, rtol=1e-4, atol=1e-5)


# %% agrees: leaves the model in eval mode
# gets 1 of 3: the training flags of the layers were
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = model.eval()(images).detach().numpy()
    return theirs.shape == ours.shape and np.allclose(theirs, ours, rtol=1e-4, atol=1e-5)


# %% agrees: assumes the name of the input
# gets 0 of 3: Required inputs (['pixels']) are missing
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {"input": images.numpy()})
    ours = copy.deepcopy(model).eval()(images).detach().numpy()
    return theirs.shape == ours.shape and np.allclose(theirs, ours, rtol=1e-4, atol=1e-5)


# %% agrees: does not compare the shapes
# gets 1 of 3: a file with one class, and a model with four
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = copy.deepcopy(model).eval()(images).detach().numpy()
    return np.allclose(theirs, ours, rtol=1e-4, atol=1e-5)


# %% agrees: has one tolerance for small and large numbers
# gets 1 of 3: large numbers that differ in the sixth digit
def agrees(path, model, images):
    session = onnxruntime.InferenceSession(path)
    (theirs,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    ours = copy.deepcopy(model).eval()(images).detach().numpy()
    return theirs.shape == ours.shape and np.allclose(theirs, ours, rtol=0, atol=1e-5)
