# %% extract: keeps the long names
# gets 0 of 2: the file holds ['decoder.bias', 'decoder.weight']
def extract(path, part, target):
    whole = torch.load(path)
    torch.save({n: t for n, t in whole.items() if n.startswith(f"{part}.")}, target)


# %% extract: takes all names that begin with the name of the part
# gets 1 of 2: in a model with a decoder2, and with a decoder inside: expected
def extract(path, part, target):
    whole = torch.load(path)
    begin = len(part) + 1
    torch.save({n[begin:]: t for n, t in whole.items() if n.startswith(part)}, target)


# %% extract: removes the name wherever it appears
# gets 1 of 2: in a model with a decoder2, and with a decoder inside: expected
def extract(path, part, target):
    whole = torch.load(path)
    prefix = f"{part}."
    torch.save({n.replace(prefix, ""): t for n, t in whole.items() if n.startswith(prefix)}, target)


# %% extract: splits each name at its first dot
# gets 1 of 2: the module old.decoder, in a model
def extract(path, part, target):
    taken = {}
    for name, tensor in torch.load(path).items():
        head, _, rest = name.partition(".")
        if head == part:
            taken[rest] = tensor
    torch.save(taken, target)


# %% parameters-once: makes a set, which has no order
# gets 0 of 3: expected the parameters in the order ['digit.trunk.0.weight', 'digit.trunk.0.bias'
def parameters_once(models):
    return list({parameter for model in models for parameter in model.parameters()})


# %% parameters-once: concatenates the lists, with the trunk twice
# gets 0 of 3: expected a list of the 10 parameters of the trunk and the 4 of two heads
def parameters_once(models):
    return [parameter for model in models for parameter in model.parameters()]


# %% parameters-once: keeps one parameter for each name
# gets 0 of 3: expected a list of the 10 parameters of the trunk and the 4 of two heads
def parameters_once(models):
    return list({name: p for model in models for name, p in model.named_parameters()}.values())


# %% parameters-once: mistakes equal values for the same parameter
# gets 1 of 3: three different heads, all zeros: expected
def parameters_once(models):
    from itertools import chain

    found = []
    for parameter in chain(*[model.parameters() for model in models]):
        if not any(torch.equal(parameter, other) for other in found):
            found.append(parameter)
    return found


# %% parameters-once: leaves out every parameter whose name contains trunk
# gets 1 of 3: two layers that share only a weight
def parameters_once(models):
    first, *others = models
    found = list(first.parameters())
    for model in others:
        found += [p for name, p in model.named_parameters() if not name.startswith("trunk.")]
    return found


# %% parameters-once: leaves out frozen parameters
# gets 1 of 3: two models, the first of which is frozen for now
def parameters_once(models):
    found = {id(p): p for model in models for p in model.parameters() if p.requires_grad}
    return list(found.values())


# %% load-tied: loads each model separately
# gets 0 of 3: they are not tied
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])


# %% load-tied: uses the tensors of the file, which share memory
# gets 1 of 3: of digit is a new parameter
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"], assign=True)
    even.load_state_dict(checkpoint["even"], assign=True)


# %% load-tied: shares the memory and not the parameter
# gets 1 of 3: do not make them one
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    for mine, other in zip(even.trunk.parameters(), digit.trunk.parameters(), strict=True):
        mine.data = other.data


# %% load-tied: keeps the trunk of even
# gets 1 of 3: of digit is a new parameter
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.trunk = even.trunk
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])


# %% load-tied: ties the parameters and forgets the statistics
# gets 1 of 3: digit saw another batch
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    for name, parameter in digit.trunk.named_parameters():
        module, _, leaf = name.rpartition(".")
        setattr(even.trunk.get_submodule(module), leaf, parameter)


# %% load-tied: gives even a copy of the trunk
# gets 0 of 3: they are not tied
def load_tied(path, digit, even):
    import copy

    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    even.trunk = copy.deepcopy(digit.trunk)


# %% load-tied: shares the layers of the trunk and not its own statistics
# gets 1 of 3: a trunk that is a single BatchNorm: digit saw another batch
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    for name, layer in digit.trunk.named_children():
        setattr(even.trunk, name, layer)
    for name in ("weight", "bias"):
        if hasattr(digit.trunk, name):
            setattr(even.trunk, name, getattr(digit.trunk, name))


# %% load-all: goes by position
# gets 0 of 4: and came back as {'back': 2.0, 'there': 3.0}
def save_all(path, models, optimizers):
    torch.save([part.state_dict() for part in (*models.values(), *optimizers.values())], path)


def load_all(path, models, optimizers):
    states = torch.load(path)
    for part, state in zip((*models.values(), *optimizers.values()), states, strict=True):
        part.load_state_dict(state)


# %% load-all: ignores what the optimizers hold
# gets 0 of 4: the two optimizers were swapped: expected a ValueError, and none came
def save_all(path, models, optimizers):
    states = {name: (models[name].state_dict(), optimizers[name].state_dict()) for name in models}
    torch.save(states, path)


def load_all(path, models, optimizers):
    for name, (model_state, optimizer_state) in torch.load(path).items():
        models[name].load_state_dict(model_state)
        optimizers[name].load_state_dict(optimizer_state)


# %% load-all: compares the values of the parameters
# gets 1 of 4: the optimizer back holds a copy of its model: expected a ValueError, and none came
def save_all(path, models, optimizers):
    states = {name: (models[name].state_dict(), optimizers[name].state_dict()) for name in models}
    torch.save(states, path)


def load_all(path, models, optimizers):
    for name, optimizer in optimizers.items():
        held = [p for group in optimizer.param_groups for p in group["params"]]
        if not all(map(torch.equal, held, models[name].parameters())):
            raise ValueError(f"{name} is over another model")
    for name, (model_state, optimizer_state) in torch.load(path).items():
        models[name].load_state_dict(model_state)
        optimizers[name].load_state_dict(optimizer_state)


# %% load-all: checks after loading the models
# gets 1 of 4: had already been loaded
def save_all(path, models, optimizers):
    states = {name: (models[name].state_dict(), optimizers[name].state_dict()) for name in models}
    torch.save(states, path)


def load_all(path, models, optimizers):
    for name, (model_state, optimizer_state) in torch.load(path).items():
        models[name].load_state_dict(model_state)
        held = {id(p) for group in optimizers[name].param_groups for p in group["params"]}
        if held != {id(p) for p in models[name].parameters()}:
            raise ValueError(f"{name} is over another model")
        optimizers[name].load_state_dict(optimizer_state)


# %% load-all: checks that the model is held, not that nothing else is
# gets 1 of 4: the optimizer back holds both models
def save_all(path, models, optimizers):
    states = {name: (models[name].state_dict(), optimizers[name].state_dict()) for name in models}
    torch.save(states, path)


def load_all(path, models, optimizers):
    for name, optimizer in optimizers.items():
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not {id(p) for p in models[name].parameters()} <= held:
            raise ValueError(f"{name} is over another model")
    for name, (model_state, optimizer_state) in torch.load(path).items():
        models[name].load_state_dict(model_state)
        optimizers[name].load_state_dict(optimizer_state)


# %% load-all: checks the first group and counts the rest
# gets 1 of 4: the optimizer back holds half of each model
def save_all(path, models, optimizers):
    states = {"models": models, "optimizers": optimizers}
    torch.save(
        {k: {n: p.state_dict() for n, p in part.items()} for k, part in states.items()}, path
    )


def load_all(path, models, optimizers):
    for name, optimizer in optimizers.items():
        own = [id(p) for p in models[name].parameters()]
        held = [[id(p) for p in group["params"]] for group in optimizer.param_groups]
        if not set(held[0]) <= set(own) or sum(map(len, held)) != len(own):
            raise ValueError(f"the optimizer {name!r} holds other parameters")
    states = torch.load(path)
    for name in models:
        models[name].load_state_dict(states["models"][name])
        optimizers[name].load_state_dict(states["optimizers"][name])


# %% load-all: allows a second group of another model
# gets 1 of 4: the optimizer back has a second group, there
def save_all(path, models, optimizers):
    states = {"models": models, "optimizers": optimizers}
    torch.save(
        {k: {n: p.state_dict() for n, p in part.items()} for k, part in states.items()}, path
    )


def load_all(path, models, optimizers):
    for name, optimizer in optimizers.items():
        own = {id(p) for p in models[name].parameters()}
        first = {id(p) for p in optimizer.param_groups[0]["params"]}
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        if not first <= own <= held:
            raise ValueError(f"the optimizer {name!r} holds other parameters")
    states = torch.load(path)
    for name in models:
        models[name].load_state_dict(states["models"][name])
        optimizers[name].load_state_dict(states["optimizers"][name])


# %% load-one: ignores the version
# gets 0 of 4: version3.pt, decoder: expected a ValueError, and none came
def load_one(path, name, model):
    file = torch.load(path)
    models = file.get("models") or {
        key.removesuffix("_state_dict"): s for key, s in file.items() if key.endswith("_state_dict")
    }
    if name not in models:
        raise KeyError(f"no model {name}, but {list(models)}")
    model.load_state_dict(models[name])


# %% load-one: raises the KeyError of the dict
# gets 1 of 4: without a model epoch: the error lacks ['trunk', 'digits_head']
def load_one(path, name, model):
    file = torch.load(path)
    if file.get("version", 1) > 2:
        raise ValueError(f"version {file['version']} is not known, the latest is 2")
    state = file["models"][name] if "models" in file else file[f"{name}_state_dict"]
    model.load_state_dict(state)


# %% load-one: lists the keys of the file as models
# gets 1 of 4: the error lists epoch, which is not a model
def load_one(path, name, model):
    file = torch.load(path)
    if file.get("version", 1) > 2:
        raise ValueError(f"version {file['version']} is not known, the latest is 2")
    models = file.get("models", file)
    key = name if "models" in file else f"{name}_state_dict"
    if key not in models:
        raise KeyError(f"no model {name}, but {list(models)}")
    model.load_state_dict(models[key])


# %% load-one: does not name the version that it knows
# gets 1 of 4: the error should name that version and the latest known, 2
def load_one(path, name, model):
    file = torch.load(path)
    if file.get("version", 1) > 2:
        raise ValueError(f"version {file['version']} is not known")
    models = file.get("models") or {
        key.removesuffix("_state_dict"): s for key, s in file.items() if key.endswith("_state_dict")
    }
    if name not in models:
        raise KeyError(f"no model {name}, but {list(models)}")
    model.load_state_dict(models[name])


# %% load-one: cuts the old keys at their first underscore
# gets 1 of 4: version 1, the model digits_head: it raised KeyError
def load_one(path, name, model):
    file = torch.load(path)
    if file.get("version", 1) > 2:
        raise ValueError(f"version {file['version']} is not known, the latest is 2")
    models = file.get("models") or {
        key.split("_")[0]: state for key, state in file.items() if "_state_dict" in key
    }
    if name not in models:
        raise KeyError(f"no model {name}, but {list(models)}")
    model.load_state_dict(models[name])


# %% load-one: loads with strict=False
# gets 1 of 4: a buffer that is not in the file: expected a RuntimeError, and none came
def load_one(path, name, model):
    file = torch.load(path)
    version = file.get("version", 1)
    if version > 2:
        raise ValueError(f"{path} has version {version}, and the latest known here is 2")
    end = "_state_dict"
    old = {key.removesuffix(end): s for key, s in file.items() if key.endswith(end)}
    models = old if version == 1 else file["models"]
    if name not in models:
        raise KeyError(f"{path} has no model {name!r}, but {', '.join(models)}")
    model.load_state_dict(models[name], strict=False)
