# %% still-on-meta: forgets plain attributes
# gets 0 of 3: scale is a plain attribute and shift a buffer; got ['1.bias', '1.weight', 'shift']
def still_on_meta(model):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return sorted(name for name, tensor in tensors.items() if tensor.is_meta)


# %% still-on-meta: looks at the parameters only
# gets 0 of 3: where scale is a plain attribute and shift a buffer; got ['1.bias', '1.weight']
def still_on_meta(model):
    return sorted(name for name, parameter in model.named_parameters() if parameter.is_meta)


# %% still-on-meta: looks at the state dict
# gets 0 of 3: where scale is a plain attribute and shift a buffer; got ['1.bias', '1.weight']
def still_on_meta(model):
    return sorted(name for name, tensor in model.state_dict().items() if tensor.is_meta)


# %% still-on-meta: looks for plain attributes in the outermost module only
# gets 1 of 3: ['encoder.1.scale'] should be listed, too
def still_on_meta(model):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    tensors |= {name: v for name, v in vars(model).items() if isinstance(v, torch.Tensor)}
    return sorted(name for name, tensor in tensors.items() if tensor.is_meta)


# %% still-on-meta: lists a tied weight once
# gets 1 of 3: two layers with one weight: ['1.weight'] should be listed, too
def still_on_meta(model):
    registered = [*model.named_parameters(), *model.named_buffers()]
    names = [name for name, tensor in registered if tensor.is_meta]
    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.Tensor) and value.is_meta:
                names.append(f"{prefix}.{name}" if prefix else name)
    return sorted(names)


# %% half-size: turns the model itself into bfloat16
# gets 0 of 3: 'num_batches_tracked': torch.int64} now
def save_half(model, path):
    torch.save(model.bfloat16().state_dict(), path)


# %% half-size: converts the counters as well
# gets 0 of 3: 'num_batches_tracked': torch.bfloat16}
def save_half(model, path):
    torch.save({name: t.bfloat16() for name, t in model.state_dict().items()}, path)


# %% half-size: converts the model there and back
# gets 1 of 3: and after the save is
def save_half(model, path):
    torch.save(model.bfloat16().state_dict(), path)
    model.float()


# %% half-size: uses the other 16-bit type
# gets 0 of 3: torch.float16
def save_half(model, path):
    state = model.state_dict()
    torch.save({n: t.half() if t.is_floating_point() else t for n, t in state.items()}, path)


# %% half-size: saves only the parameters
# gets 0 of 3: found {'weight': torch.bfloat16, 'bias': torch.bfloat16}
def save_half(model, path):
    torch.save({name: p.detach().bfloat16() for name, p in model.named_parameters()}, path)


# %% assign-tied: just assigns
# gets 0 of 4: 0.weight and 1.weight were one parameter, and are two now
def assign_tied(model, state_dict):
    model.load_state_dict(state_dict, assign=True)


# %% assign-tied: copies, which a model on meta does not notice
# gets 0 of 4: 0.weight is still on meta
def assign_tied(model, state_dict):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.load_state_dict(state_dict)


# %% assign-tied: knows the names of one model
# gets 1 of 4: with the same numbers: it raised TypeError("'Tied' object is not subscriptable")
def assign_tied(model, state_dict):
    model.load_state_dict(state_dict, assign=True)
    model[1].weight = model[0].weight


# %% assign-tied: ties what shares memory in the file
# gets 1 of 4: expected one parameter for each of
def assign_tied(model, state_dict):
    model.load_state_dict(state_dict, assign=True)
    first = {}
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        module, _, attribute = name.rpartition(".")
        same = first.setdefault(parameter.data_ptr(), parameter)
        setattr(model.get_submodule(module), attribute, same)


# %% assign-tied: ties what has the same numbers
# gets 1 of 4: 'other.weight'
def assign_tied(model, state_dict):
    model.load_state_dict(state_dict, assign=True)
    first = []
    for name, parameter in list(model.named_parameters(remove_duplicate=False)):
        module, _, attribute = name.rpartition(".")
        for other in first:
            if torch.equal(other, parameter):
                setattr(model.get_submodule(module), attribute, other)
                break
        else:
            first.append(parameter)


# %% resume: builds the optimizer before the weights are loaded
# gets 0 of 4: a step of the optimizer does not change the model
def resume(build, path):
    with torch.device("meta"):
        model = build()
    optimizer = torch.optim.AdamW(model.parameters())
    checkpoint = torch.load(path, mmap=True)
    model.load_state_dict(checkpoint["model"], assign=True)
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer


# %% resume: builds the model as usual
# gets 1 of 4: build() should be called once, on meta; it was called on ['cpu']
def resume(build, path):
    model = build()
    checkpoint = torch.load(path, mmap=True)
    model.load_state_dict(checkpoint["model"], assign=True)
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer


# %% resume: reads the whole file
# gets 1 of 4: as parts of the mapped file they would be in one
def resume(build, path):
    with torch.device("meta"):
        model = build()
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"], assign=True)
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer


# %% resume: allocates memory, and copies the file into it
# gets 1 of 4: as parts of the mapped file they would be in one
def resume(build, path):
    with torch.device("meta"):
        model = build()
    model.to_empty(device="cpu")
    checkpoint = torch.load(path, mmap=True)
    model.load_state_dict(checkpoint["model"])
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer


# %% resume: starts with a new optimizer
# gets 1 of 4: after three more steps,
def resume(build, path):
    with torch.device("meta"):
        model = build()
    model.load_state_dict(torch.load(path, mmap=True)["model"], assign=True)
    return model, torch.optim.AdamW(model.parameters(), lr=0.03, weight_decay=0.1)


# %% resume: unfreezes what was frozen
# gets 1 of 4: in the model returned, [] are frozen
def resume(build, path):
    with torch.device("meta"):
        model = build()
    checkpoint = torch.load(path, mmap=True)
    model.load_state_dict(checkpoint["model"], assign=True)
    model.requires_grad_(True)
    optimizer = torch.optim.AdamW(model.parameters())
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer
