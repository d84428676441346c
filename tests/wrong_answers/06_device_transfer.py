# %% state-dict-on: moves the model
# gets 1 of 2: the model was on the CPU and should stay there, and it is on ['meta'] now
def state_dict_on(model, device):
    return model.to(device).state_dict()


# %% state-dict-on: drops what to() returns
# gets 0 of 2: state_dict_on gave {'weight': 'cpu', 'bias': 'cpu'}
def state_dict_on(model, device):
    state_dict = model.state_dict()
    for tensor in state_dict.values():
        tensor.to(device)
    return state_dict


# %% state-dict-on: forgets the buffers
# gets 1 of 2: the state dict lacks ['1.num_batches_tracked', '1.running_mean', '1.running_var']
def state_dict_on(model, device):
    return {name: parameter.to(device) for name, parameter in model.named_parameters()}


# %% saved-from: asks where the tensors are after loading
# gets 0 of 2: saved from cuda:14, and saved_from gave {'cpu'}
def saved_from(path):
    return {str(tensor.device) for tensor in torch.load(path, map_location="cpu").values()}


# %% saved-from: puts them where they came from
# gets 0 of 2: Attempting to deserialize object on
def saved_from(path):
    return {str(tensor.device) for tensor in torch.load(path).values()}


# %% saved-from: leaves the decision to the tag
# gets 0 of 2: Attempting to deserialize object on
def saved_from(path):
    tags = set()
    torch.load(path, map_location=lambda storage, tag: tags.add(tag))
    return tags


# %% saved-from: asks the storage, which is on the CPU
# gets 0 of 2: saved from cuda:14, and saved_from gave {'cpu'}
def saved_from(path):
    places = set()

    def note(storage, tag):
        places.add(str(storage.device))
        return storage

    torch.load(path, map_location=note)
    return places


# %% saved-from: keeps only the last tag
# gets 1 of 2: it was saved from cpu, cuda:9, cuda:14 and cuda:15, and saved_from gave
def saved_from(path):
    last = None

    def note(storage, tag):
        nonlocal last
        last = tag
        return storage

    torch.load(path, map_location=note)
    return {last}


# %% load-onto: sends everything to the device
# gets 0 of 3: rng came from the CPU and stays; found {'weight': 'meta', 'rng': 'meta'}
def load_onto(path, device):
    return torch.load(path, map_location=device)


# %% load-onto: leaves everything on the CPU
# gets 0 of 3: found {'weight': 'cpu', 'rng': 'cpu'}
def load_onto(path, device):
    return torch.load(path, map_location="cpu")


# %% load-onto: translates a tag without its number
# gets 0 of 3: rror
def load_onto(path, device):
    return torch.load(path, map_location={"cuda": device, "xpu:1": device, "cuda:15": device})


# %% load-onto: knows one GPU
# gets 1 of 3: Attempting to deserialize object on
def load_onto(path, device):
    return torch.load(path, map_location={"cuda:0": device})


# %% load-onto: goes by the name and not by the tag
# gets 1 of 3: saved from
def load_onto(path, device):
    state = torch.load(path, map_location="cpu")
    return {name: t if name == "rng" else t.to(device) for name, t in state.items()}


# %% load-onto: knows no GPU but CUDA's
# gets 1 of 3: rror
def load_onto(path, device):
    def place(storage, tag):
        location = device if tag.startswith("cuda") else tag
        return torch.serialization.default_restore_location(storage, location)

    return torch.load(path, map_location=place)


# %% catch-up: drops what to() returns
# gets 0 of 4: found {'exp_avg': 'cpu', 'exp_avg_sq': 'cpu'}
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for value in state.values():
            value.to(parameter.device)


# %% catch-up: moves the count of steps as well
# gets 1 of 4: and found {'step': 'meta', 'exp_avg': 'meta'
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            state[name] = value.to(parameter.device)


# %% catch-up: takes the first parameter's device for all
# gets 1 of 4: the last layer is on the CPU, and all of its state should be, too
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
# gets 1 of 4: KeyError
def catch_up(optimizer):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = state[name].to(parameter.device)


# %% catch-up: builds a new optimizer
# gets 0 of 4: found {'exp_avg': 'cpu', 'exp_avg_sq': 'cpu'}
def catch_up(optimizer):
    return type(optimizer)(optimizer.param_groups)


# %% catch-up: throws the state away
# gets 0 of 4: the weight is on meta, and so should be its averages; found {}
def catch_up(optimizer):
    optimizer.state.clear()


# %% load-weights: just loads
# gets 0 of 4: Missing key(s) in state_dict
def load_weights(model, state_dict):
    model.load_state_dict(state_dict)


# %% load-weights: loads what fits, which is nothing
# gets 0 of 4: saved plain, loaded DataParallel: the weight is
def load_weights(model, state_dict):
    model.load_state_dict(state_dict, strict=False)


# %% load-weights: removes module. wherever it stands
# gets 1 of 4: ('module', 'head'), saved plain, loaded plain: RuntimeError
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    inner.load_state_dict({name.replace("module.", ""): t for name, t in state_dict.items()})


# %% load-weights: removes the prefix from a model that needs it
# gets 1 of 4: ('module', 'head'), saved plain, loaded plain: RuntimeError
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    inner.load_state_dict({name.removeprefix("module."): t for name, t in state_dict.items()})


# %% load-weights: takes a common prefix for DataParallel's
# gets 1 of 4: ('module',), saved plain, loaded plain: RuntimeError
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    if all(name.startswith("module.") for name in state_dict):
        state_dict = {name.removeprefix("module."): t for name, t in state_dict.items()}
    inner.load_state_dict(state_dict)


# %% load-weights: takes every layer called module for DataParallel's
# gets 1 of 4: ('module', 'head'), saved plain, loaded plain: RuntimeError
def load_weights(model, state_dict):
    inner = getattr(model, "module", model)
    if state_dict.keys() != inner.state_dict().keys():
        state_dict = {name.removeprefix("module."): t for name, t in state_dict.items()}
    inner.load_state_dict(state_dict)


# %% load-weights: changes the state dict that came in
# gets 1 of 4: the state dict that came in had the keys
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    if state_dict.keys() != inner.state_dict().keys():
        nn.modules.utils.consume_prefix_in_state_dict_if_present(state_dict, "module.")
    inner.load_state_dict(state_dict)


# %% load-weights: loads by position
# gets 1 of 4: no error came
def load_weights(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    with torch.no_grad():
        for parameter, tensor in zip(inner.parameters(), state_dict.values(), strict=False):
            parameter.copy_(tensor)


# %% state-dict-on: takes every buffer, also those that are not saved
# gets 1 of 2: ['grid'] is not in the model's state dict
def state_dict_on(model, device):
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return {name: tensor.to(device) for name, tensor in tensors}


# %% saved-from: looks for tags anywhere in the pickle
# gets 1 of 2: one from cuda:9 alone was asked for
def saved_from(path):
    import re
    import zipfile

    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return {tag.decode() for tag in re.findall(rb"cpu|cuda:\d+", archive.read(name))}


# %% saved-from: runs what is in the file
# gets 1 of 2: a file that calls os.mkdir was run
def saved_from(path):
    tags = set()

    def note(storage, tag):
        tags.add(tag)
        return storage

    torch.load(path, map_location=note, weights_only=False)
    return tags


# %% load-onto: knows a GPU by the colon in its tag
# gets 1 of 3: 'own': 'cpu'
def load_onto(path, device):
    def place(storage, tag):
        location = device if ":" in tag else "cpu"
        return torch.serialization.default_restore_location(storage, location)

    return torch.load(path, map_location=place)


# %% catch-up: moves what has the names of AdamW's state
# gets 1 of 4: RMSprop, and a parameter that is one number
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer"):
                state[name] = value.to(parameter.device)


# %% catch-up: moves what has the parameter's shape
# gets 1 of 4: its state is on {'step': 'meta', 'square_avg': 'meta'}
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = value.to(parameter.device)


# %% catch-up: moves what has the parameter's shape, but for the step
# gets 1 of 4: Adafactor keeps a row and a column for a weight
def catch_up(optimizer):
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if name != "step" and value.shape == parameter.shape:
                state[name] = value.to(parameter.device)
