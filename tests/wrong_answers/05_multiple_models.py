# %% extract: keeps the long names
# gets 0 of 2: the file holds ['decoder.bias', 'decoder.weight']
def extract(path, part, target):
    whole = torch.load(path)
    torch.save({n: t for n, t in whole.items() if n.startswith(f"{part}.")}, target)


# %% extract: takes the names that begin alike
# gets 1 of 2: beside a decoder2 and with a decoder inside
def extract(path, part, target):
    whole = torch.load(path)
    begin = len(part) + 1
    torch.save({n[begin:]: t for n, t in whole.items() if n.startswith(part)}, target)


# %% extract: cuts the name out wherever it stands
# gets 1 of 2: beside a decoder2 and with a decoder inside
def extract(path, part, target):
    whole = torch.load(path)
    prefix = f"{part}."
    torch.save({n.replace(prefix, ""): t for n, t in whole.items() if n.startswith(prefix)}, target)


# %% extract: splits the name at its first dot
# gets 1 of 2: the module old.decoder
def extract(path, part, target):
    taken = {}
    for name, tensor in torch.load(path).items():
        head, _, rest = name.partition(".")
        if head == part:
            taken[rest] = tensor
    torch.save(taken, target)


# %% parameters-once: one after the other, the trunk twice
# gets 0 of 3: and the list has 8
def parameters_once(models):
    return [parameter for model in models for parameter in model.parameters()]


# %% parameters-once: a set, which has no order
# gets 1 of 3: in another order
def parameters_once(models):
    return list({parameter for model in models for parameter in model.parameters()})


# %% parameters-once: one for each name
# gets 0 of 3: and the list has 4
def parameters_once(models):
    return list({name: p for model in models for name, p in model.named_parameters()}.values())


# %% parameters-once: takes equal values for the same parameter
# gets 1 of 3: three heads, all zeros, are three
def parameters_once(models):
    from itertools import chain

    found = []
    for parameter in chain(*[model.parameters() for model in models]):
        if not any(torch.equal(parameter, other) for other in found):
            found.append(parameter)
    return found


# %% parameters-once: leaves out what is called trunk
# gets 1 of 3: two layers share a weight alone
def parameters_once(models):
    first, *others = models
    found = list(first.parameters())
    for model in others:
        found += [p for name, p in model.named_parameters() if not name.startswith("trunk.")]
    return found


# %% load-tied: loads each by itself
# gets 0 of 3: not tied
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])


# %% load-tied: takes the tensors of the file, which share memory
# gets 1 of 3: which is another parameter now
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"], assign=True)
    even.load_state_dict(checkpoint["even"], assign=True)


# %% load-tied: shares the memory and not the parameter
# gets 1 of 3: do not make it one
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    for mine, other in zip(even.trunk.parameters(), digit.trunk.parameters(), strict=True):
        mine.data = other.data


# %% load-tied: keeps the other trunk
# gets 1 of 3: which is another parameter now
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.trunk = even.trunk
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])


# %% load-tied: ties the parameters and forgets the statistics
# gets 1 of 3: which changes the statistics of the trunk
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    for name, parameter in digit.trunk.named_parameters():
        module, _, leaf = name.rpartition(".")
        setattr(even.trunk.get_submodule(module), leaf, parameter)


# %% load-tied: gives even a copy of the trunk
# gets 0 of 3: not tied
def load_tied(path, digit, even):
    import copy

    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    even.trunk = copy.deepcopy(digit.trunk)


# %% load-all: goes by position
# gets 0 of 4: were saved with the weights 2 and 3, not [3.0, 2.0]
def save_all(path, models, optimizers):
    torch.save([part.state_dict() for part in (*models.values(), *optimizers.values())], path)


def load_all(path, models, optimizers):
    states = torch.load(path)
    for part, state in zip((*models.values(), *optimizers.values()), states, strict=True):
        part.load_state_dict(state)


# %% load-all: does not look at what the optimizers hold
# gets 0 of 4: were swapped, and no ValueError came
def save_all(path, models, optimizers):
    states = {name: (models[name].state_dict(), optimizers[name].state_dict()) for name in models}
    torch.save(states, path)


def load_all(path, models, optimizers):
    for name, (model_state, optimizer_state) in torch.load(path).items():
        models[name].load_state_dict(model_state)
        optimizers[name].load_state_dict(optimizer_state)


# %% load-all: compares the values of the parameters
# gets 1 of 4: the optimizer of back holds a copy of it, and no ValueError came
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


# %% load-all: looks after the models are loaded
# gets 1 of 4: was loaded before it
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


# %% load-all: asks whether the model is held, not whether more is
# gets 1 of 4: the optimizer of back holds both models
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


# %% load-one: a bare KeyError
# gets 0 of 4: the error does not name ['encoder', 'decoder']
def load_one(path, name, model):
    file = torch.load(path)
    if file.get("version", 1) > 2:
        raise ValueError(f"version {file['version']} is not known, the latest is 2")
    state = file["models"][name] if "models" in file else file[f"{name}_state_dict"]
    model.load_state_dict(state)


# %% load-one: does not look at the version
# gets 1 of 4: version 3, with the keys version, models, and no ValueError came
def load_one(path, name, model):
    file = torch.load(path)
    models = file.get("models") or {
        key.removesuffix("_state_dict"): s for key, s in file.items() if key.endswith("_state_dict")
    }
    if name not in models:
        raise KeyError(f"no model {name}, but {list(models)}")
    model.load_state_dict(models[name])


# %% load-one: offers the keys of the file as models
# gets 1 of 4: the error offers epoch, which is no model
def load_one(path, name, model):
    file = torch.load(path)
    if file.get("version", 1) > 2:
        raise ValueError(f"version {file['version']} is not known, the latest is 2")
    models = file.get("models", file)
    key = name if "models" in file else f"{name}_state_dict"
    if key not in models:
        raise KeyError(f"no model {name}, but {list(models)}")
    model.load_state_dict(models[key])


# %% load-one: does not say which version it knows
# gets 1 of 4: the error should name this version and the latest known, 2
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
# gets 1 of 4: KeyError
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


# %% parameters-once: leaves out what is frozen
# gets 1 of 3: the first model is frozen, for the time being
def parameters_once(models):
    found = {id(p): p for model in models for p in model.parameters() if p.requires_grad}
    return list(found.values())


# %% load-tied: shares the layers in the trunk, and not its own statistics
# gets 1 of 3: with a BatchNorm as the whole trunk
def load_tied(path, digit, even):
    checkpoint = torch.load(path)
    digit.load_state_dict(checkpoint["digit"])
    even.load_state_dict(checkpoint["even"])
    for name, layer in digit.trunk.named_children():
        setattr(even.trunk, name, layer)
    for name in ("weight", "bias"):
        if hasattr(digit.trunk, name):
            setattr(even.trunk, name, getattr(digit.trunk, name))


# %% load-all: looks at the first group, and counts the rest
# gets 1 of 4: half of what the optimizer of back holds is of there
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


# %% load-one: loads with strict=False
# gets 1 of 4: the file has no 'scale', and no error came
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


# %% load-all: lets a second group be of another model
# gets 1 of 4: a second group of the optimizer of back is there's
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
