# %% state-dict-on: moves the model
# gets 0 of 2: its parameters are now on {'weight': 'meta', 'bias': 'meta'}
def state_dict_on(model, device):
    return model.to(device).state_dict()


# %% state-dict-on: discards the result of to()
# gets 0 of 2: the tensors returned are on {'weight': 'cpu', 'bias': 'cpu'}
def state_dict_on(model, device):
    state_dict = model.state_dict()
    for tensor in state_dict.values():
        tensor.to(device)
    return state_dict


# %% state-dict-on: forgets the buffers
# gets 1 of 2: ['1.num_batches_tracked', '1.running_mean', '1.running_var'] is missing
def state_dict_on(model, device):
    return {name: parameter.to(device) for name, parameter in model.named_parameters()}


# %% state-dict-on: takes every buffer, including those that are not saved
# gets 1 of 2: to meta: ['grid'] is not in the model's state dict
def state_dict_on(model, device):
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.to(device) for name, tensor in tensors}


# %% saved-from: asks where the tensors are after loading
# gets 0 of 2: there.pt was saved from {'cuda:14'}, and saved_from returned {'cpu'}
def saved_from(path):
    return {str(tensor.device) for tensor in torch.load(path, map_location="cpu").values()}


# %% saved-from: puts the tensors where they came from
# gets 0 of 2: there.pt, saved from {'cuda:14'}: it raised RuntimeError
def saved_from(path):
    return {str(tensor.device) for tensor in torch.load(path).values()}


# %% saved-from: returns nothing from map_location, so torch.load decides
# gets 0 of 2: there.pt, saved from {'cuda:14'}: it raised RuntimeError
def saved_from(path):
    tags = set()
    torch.load(path, map_location=lambda storage, tag: tags.add(tag))
    return tags


# %% saved-from: asks the storage, which is on the CPU
# gets 0 of 2: there.pt was saved from {'cuda:14'}, and saved_from returned {'cpu'}
def saved_from(path):
    places = set()

    def note(storage, tag):
        places.add(str(storage.device))
        return storage

    torch.load(path, map_location=note)
    return places


# %% saved-from: keeps only the last tag
# gets 1 of 2: a file saved from three GPUs and the CPU: expected
def saved_from(path):
    last = None

    def note(storage, tag):
        nonlocal last
        last = tag
        return storage

    torch.load(path, map_location=note)
    return {last}


# %% saved-from: looks for tags anywhere in the pickle
# gets 1 of 2: a file saved from cuda:9 only: expected ['cuda:9'], got {
def saved_from(path):
    import re
    import zipfile

    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return {tag.decode() for tag in re.findall(rb"cpu|cuda:\d+", archive.read(name))}


# %% saved-from: runs what is in the file
# gets 1 of 2: a file that calls os.mkdir: its code ran
def saved_from(path):
    tags = set()

    def note(storage, tag):
        tags.add(tag)
        return storage

    torch.load(path, map_location=note, weights_only=False)
    return tags


# %% load-onto: sends everything to the device
# gets 0 of 3: cuda:0 becomes meta; the tensors are on {'weight': 'meta', 'rng': 'meta'}
def load_onto(path, device):
    return torch.load(path, map_location=device)


# %% load-onto: leaves everything on the CPU
# gets 0 of 3: cuda:0 becomes meta; the tensors are on {'weight': 'cpu', 'rng': 'cpu'}
def load_onto(path, device):
    return torch.load(path, map_location="cpu")


# %% load-onto: maps a tag without its number
# gets 0 of 3: rror
def load_onto(path, device):
    return torch.load(path, map_location={"cuda": device, "xpu:1": device, "cuda:15": device})


# %% load-onto: knows one GPU
# gets 1 of 3: it raised RuntimeError("Attempting to deserialize object on
def load_onto(path, device):
    return torch.load(path, map_location={"cuda:0": device})


# %% load-onto: goes by the name and not by the tag
# gets 1 of 3: loaded with device='meta': expected the tensors on
def load_onto(path, device):
    state = torch.load(path, map_location="cpu")
    return {name: t if name == "rng" else t.to(device) for name, t in state.items()}


# %% load-onto: knows only CUDA GPUs
# gets 1 of 3: loaded with device='meta': it raised
def load_onto(path, device):
    def place(storage, tag):
        location = device if tag.startswith("cuda") else tag
        return torch.serialization.default_restore_location(storage, location)

    return torch.load(path, map_location=place)


# %% load-onto: recognises a GPU by the colon in its tag
# gets 1 of 3: 'own': 'cpu'
def load_onto(path, device):
    def place(storage, tag):
        location = device if ":" in tag else "cpu"
        return torch.serialization.default_restore_location(storage, location)

    return torch.load(path, map_location=place)


# %% catch-up: moves the step counters as well
# gets 0 of 4: found {'step': 'meta', 'exp_avg': 'meta', 'exp_avg_sq': 'meta'}
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            state[name] = value.to(parameter.device)


# %% catch-up: discards the result of to()
# gets 0 of 4: found {'step': 'cpu', 'exp_avg': 'cpu', 'exp_avg_sq': 'cpu'}
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for value in state.values():
            value.to(parameter.device)


# %% catch-up: uses the device of the first parameter for all
# gets 1 of 4: expected the state of layer 2 on
def catch_up(optimizer):
    device = optimizer.param_groups[0]["params"][0].device
    for state in optimizer.state.values():
        for name, value in state.items():
            if name != "step":
                state[name] = value.to(device)


# %% catch-up: knows two averages and no other state
# gets 1 of 4: 'max_exp_avg_sq': 'cpu'}
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            state[name] = state[name].to(parameter.device)


# %% catch-up: expects a state for every parameter
# gets 1 of 4: and layer 2 on the CPU: it raised KeyError
def catch_up(optimizer):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = state[name].to(parameter.device)


# %% catch-up: builds a new optimizer
# gets 0 of 4: found {'step': 'cpu', 'exp_avg': 'cpu', 'exp_avg_sq': 'cpu'}
def catch_up(optimizer):
    return type(optimizer)(optimizer.param_groups)


# %% catch-up: throws the state away
# gets 0 of 4: 'exp_avg': 'meta', 'exp_avg_sq': 'meta'}, found {}
def catch_up(optimizer):
    optimizer.state.clear()


# %% catch-up: moves only what is named as in AdamW's state
# gets 1 of 4: RMSprop, with a parameter on meta that is a single number: expected
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"):
                state[name] = value.to(parameter.device)


# %% catch-up: moves everything that has the parameter's shape
# gets 1 of 4: found {'step': 'meta', 'square_avg': 'meta'}
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = value.to(parameter.device)


# %% catch-up: moves everything that has the parameter's shape, except the step counter
# gets 1 of 4: Adafactor, whose state is a row and a column
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if name != "step" and value.shape == parameter.shape:
                state[name] = value.to(parameter.device)


# %% load-weights: removes the prefix from a model that needs it
# gets 0 of 4: the layers module and head, saved plain, loaded plain: it raised RuntimeError
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    inner.load_state_dict({name.removeprefix("module."): t for name, t in state_dict.items()})


# %% load-weights: just loads
# gets 0 of 4: saved plain, loaded DataParallel: it raised RuntimeError
def load_weights(model, state_dict):
    model.load_state_dict(state_dict)


# %% load-weights: loads what fits, which is nothing
# gets 0 of 4: saved plain, loaded DataParallel: module.weight is
def load_weights(model, state_dict):
    model.load_state_dict(state_dict, strict=False)


# %% load-weights: removes module. wherever it appears
# gets 0 of 4: the layers module and head, saved plain, loaded plain: it raised RuntimeError
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    inner.load_state_dict({name.replace("module.", ""): t for name, t in state_dict.items()})


# %% load-weights: mistakes a common prefix for that of DataParallel
# gets 1 of 4: the layers module, saved plain, loaded plain: it raised RuntimeError
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    if all(name.startswith("module.") for name in state_dict):
        state_dict = {name.removeprefix("module."): t for name, t in state_dict.items()}
    inner.load_state_dict(state_dict)


# %% load-weights: mistakes every layer called module for DataParallel
# gets 0 of 4: the layers module and head, saved plain, loaded plain: it raised RuntimeError
def load_weights(model, state_dict):
    inner = getattr(model, "module", model)
    if state_dict.keys() != inner.state_dict().keys():
        state_dict = {name.removeprefix("module."): t for name, t in state_dict.items()}
    inner.load_state_dict(state_dict)


# %% load-weights: changes the state dict that was passed in
# gets 1 of 4: the state dict passed in had the keys
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    if state_dict.keys() != inner.state_dict().keys():
        nn.modules.utils.consume_prefix_in_state_dict_if_present(state_dict, "module.")
    inner.load_state_dict(state_dict)


# %% load-weights: loads by position
# gets 1 of 4: expected the error of load_state_dict, got None
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    with torch.no_grad():
        for parameter, tensor in zip(inner.parameters(), state_dict.values(), strict=False):
            parameter.copy_(tensor)
