# %% state-for: knows the keys and the prefix of one trainer
# gets 0 of 4: a checkpoint with the state dict under net: expected a dict with the names
def state_for(model, loaded):
    state_dict = loaded.get("state_dict", loaded.get("model_state_dict", loaded))
    return {name.removeprefix("model."): tensor for name, tensor in state_dict.items()}


# %% state-for: takes the first dict, and removes a common prefix
# gets 0 of 4: a state dict with the prefix model. and a tensor called loss: expected a dict
def state_for(model, loaded):
    from os.path import commonprefix

    for value in loaded.values():
        if isinstance(value, dict):
            return state_for(model, value)
    prefix = commonprefix(list(loaded)).rpartition(".")[0]
    return {name.removeprefix(f"{prefix}."): tensor for name, tensor in loaded.items()}


# %% state-for: returns what fits, and raises nothing
# gets 0 of 4: a state dict without the bias: expected a ValueError
def state_for(model, loaded):
    best = {}
    for tensors in dicts(loaded):
        for prefix in {name[: place + 1] for name in tensors for place in dots(name)}:
            fits = {
                name: tensors[prefix + name]
                for name in model.state_dict()
                if prefix + name in tensors
            }
            best = max(best, fits, key=len)
    return best


def dots(name):
    return [-1] + [place for place, character in enumerate(name) if character == "."]


def dicts(loaded):
    yield {str(key): value for key, value in loaded.items()}
    for value in loaded.values():
        if isinstance(value, dict):
            yield from dicts(value)


# %% state-for: looks for the end of a name without its dot
# gets 1 of 4: a prefix without a dot: expected a ValueError
def state_for(model, loaded):
    names, fits = list(model.state_dict()), []
    for values in (loaded, *loaded.values()):
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        for prefix in {key.removesuffix(name) for key in keys for name in names}:
            found = {name: values.get(prefix + name) for name in names}
            fits.append({n: t for n, t in found.items() if isinstance(t, torch.Tensor)})
    complete = [fit for fit in fits if len(fit) == len(names)]
    if len(complete) > 1:
        raise ValueError(f"{len(complete)} fit")
    if not complete:
        best = max(fits, key=len, default={})
        raise ValueError(f"Missing: {[name for name in names if name not in best]}")
    return complete[0]


# %% state-for: finds each name separately
# gets 0 of 4: two state dicts: expected a ValueError
def state_for(model, loaded):
    found = {}
    for values in (loaded, *loaded.values()):
        for key, tensor in values.items() if isinstance(values, dict) else ():
            for name in model.state_dict():
                if f".{key}".endswith(f".{name}") and isinstance(tensor, torch.Tensor):
                    found.setdefault(name, tensor)
    missing = [name for name in model.state_dict() if name not in found]
    if missing:
        raise ValueError(f"Missing: {missing}")
    return found


# %% state-for: joins the keys of dicts inside each other
# gets 1 of 4: a dict with the key model.body: expected body.weight to be
def state_for(model, loaded):
    names, tensors = list(model.state_dict()), dict(flat(loaded))
    ends = [(key, name) for key in tensors for name in names if f".{key}".endswith(f".{name}")]
    fits = [key.removesuffix(name) for key, name in ends]
    complete = [prefix for prefix in set(fits) if fits.count(prefix) == len(names)]
    if len(complete) == 1:
        return {name: tensors[complete[0] + name] for name in names}
    best = max(fits, key=fits.count, default="")
    missing = [name for name in names if best + name not in tensors]
    raise ValueError(f"Missing: {missing}. {len(complete)} prefixes fit.")


def flat(loaded, path=""):
    for key, value in loaded.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


# %% state-for: accepts names that are split over several dicts
# gets 1 of 4: a dict for each layer: expected a ValueError
def state_for(model, loaded):
    names, tensors = list(model.state_dict()), {}
    for path, tensor in flat(loaded):
        tensors.setdefault(path, tensor)
    ends = [(key, name) for key in tensors for name in names if f".{key}".endswith(f".{name}")]
    fits = [key.removesuffix(name) for key, name in ends]
    complete = [prefix for prefix in set(fits) if fits.count(prefix) == len(names)]
    if len(complete) == 1:
        return {name: tensors[complete[0] + name] for name in names}
    best = max(fits, key=fits.count, default="")
    missing = [name for name in names if best + name not in tensors]
    raise ValueError(f"Missing: {missing}. {len(complete)} prefixes fit.")


def flat(loaded, path=""):
    for key, value in loaded.items():
        if isinstance(value, dict):
            yield from flat(value, f"{path}{key}.")
        elif isinstance(value, torch.Tensor):
            yield f"{path}{key}", value


# %% state-for: lists all names of the model as missing
# gets 1 of 4: and of the names of the model it lists ['body.weight', 'body.bias'
def state_for(model, loaded):
    names, complete = list(model.state_dict()), []
    for values in (loaded, *loaded.values()):
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        for key in keys:
            if f".{key}".endswith(f".{names[0]}"):
                found = {name: values.get(key.removesuffix(names[0]) + name) for name in names}
                if all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
                    complete.append(found)
    if len(complete) != 1:
        raise ValueError(f"Expected one dict with {names}, found {len(complete)}")
    return complete[0]


# %% state-for: takes the first of several sets
# gets 0 of 4: two state dicts: expected a ValueError
def state_for(model, loaded):
    names, best = list(model.state_dict()), {}
    for values in (loaded, *loaded.values()):
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        for prefix in {k.removesuffix(n) for k in keys for n in names if f".{k}".endswith(f".{n}")}:
            found = {name: values.get(prefix + name) for name in names}
            fit = {name: tensor for name, tensor in found.items() if tensor is not None}
            best = max(best, fit, key=len)
    missing = [name for name in names if name not in best]
    if missing:
        raise ValueError(f"Missing: {missing}")
    return best


# %% state-for: does not say how many dicts fit
# gets 0 of 4: if two state dicts fit, the message should contain 2; it is 'x'
def state_for(model, loaded):
    names, fits = list(model.state_dict()), []
    for values in (loaded, *loaded.values()):
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        for prefix in {k.removesuffix(n) for k in keys for n in names if f".{k}".endswith(f".{n}")}:
            found = {name: values.get(prefix + name) for name in names}
            fits.append({n: t for n, t in found.items() if isinstance(t, torch.Tensor)})
    complete = [fit for fit in fits if len(fit) == len(names)]
    if len(complete) > 1:
        raise ValueError("x")
    if not complete:
        best = max(fits, key=len, default={})
        raise ValueError(f"Missing: {[name for name in names if name not in best]}")
    return complete[0]


# %% state-for: says 2, however many dicts fit
# gets 1 of 4: three sets of weights: the message should contain 3
def state_for(model, loaded):
    names, fits = list(model.state_dict()), []
    for values in (loaded, *loaded.values()):
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        for prefix in {k.removesuffix(n) for k in keys for n in names if f".{k}".endswith(f".{n}")}:
            found = {name: values.get(prefix + name) for name in names}
            fits.append({n: t for n, t in found.items() if isinstance(t, torch.Tensor)})
    complete = [fit for fit in fits if len(fit) == len(names)]
    if len(complete) > 1:
        raise ValueError("2 dicts fit")
    if not complete:
        best = max(fits, key=len, default={})
        raise ValueError(f"Missing: {[name for name in names if name not in best]}")
    return complete[0]


# %% state-for: takes numbers for tensors
# gets 1 of 4: settings with the names of the tensors: it raised ValueError
def state_for(model, loaded):
    names, fits = list(model.state_dict()), []
    for values in (loaded, *loaded.values()):
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        for prefix in {k.removesuffix(n) for k in keys for n in names if f".{k}".endswith(f".{n}")}:
            found = {name: values.get(prefix + name) for name in names}
            fits.append({name: value for name, value in found.items() if value is not None})
    complete = [fit for fit in fits if len(fit) == len(names)]
    if len(complete) > 1:
        raise ValueError(f"{len(complete)} fit")
    if not complete:
        best = max(fits, key=len, default={})
        raise ValueError(f"Missing: {[name for name in names if name not in best]}")
    return complete[0]


# %% unsaved: looks only at the attributes of the model itself
# gets 0 of 3: expected ['encoder.blocks', 'heads'], got ['heads']
def unsaved(model):
    return sorted(
        name
        for name, value in vars(model).items()
        if isinstance(value, list) and any(isinstance(item, nn.Module) for item in value)
    )


# %% unsaved: lists the dicts in which PyTorch registers modules
# gets 0 of 3: a model whose layers are in a ModuleList: expected [], got ['_modules'
def unsaved(model):
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            items = list(value.values()) if isinstance(value, dict) else value
            layers = items if isinstance(items, list | tuple) else []
            if any(isinstance(item, nn.Module | nn.Parameter) for item in layers):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: names the attributes without their path
# gets 0 of 3: expected ['encoder.blocks', 'heads'], got ['blocks', 'heads']
def unsaved(model):
    found = []
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, list) and any(isinstance(item, nn.Module) for item in value):
                found.append(name)
    return sorted(found)


# %% unsaved: knows only lists of layers
# gets 1 of 3: a dict of layers: expected ['heads'], got []
def unsaved(model):
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, list) and any(isinstance(item, nn.Module) for item in value):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: looks only at the first item
# gets 1 of 3: a layer after a number: expected ['mixed'], got []
def unsaved(model):
    def is_layer(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return bool(value) and is_layer(value[0])
        return isinstance(value, nn.Module | nn.Parameter)

    found = []
    for path, module in model.named_modules():
        for name in vars(module).keys() - vars(nn.Module()).keys():
            if is_layer(vars(module)[name]):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: forgets parameters
# gets 1 of 3: a list of parameters: expected ['scales'], got []
def unsaved(model):
    saved = set(model.modules())

    def has_unsaved(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return any(map(has_unsaved, value))
        return isinstance(value, nn.Module) and value not in saved

    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if has_unsaved(value):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: does not look inside a list in a list
# gets 1 of 3: a list of lists of layers: expected ['grid'], got []
def unsaved(model):
    saved = {id(part) for part in (*model.modules(), *model.parameters())}
    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            items = list(value.values()) if isinstance(value, dict) else value
            if isinstance(items, list | tuple):
                layers = [item for item in items if isinstance(item, nn.Module | nn.Parameter)]
                if any(id(layer) not in saved for layer in layers):
                    found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: does not ask whether the layers are registered elsewhere
# gets 1 of 3: a layer that is also an attribute: expected [], got ['layers']
def unsaved(model):
    def has_layer(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return any(map(has_layer, value))
        return isinstance(value, nn.Module | nn.Parameter)

    found = []
    for path, module in model.named_modules():
        for name in vars(module).keys() - vars(nn.Module()).keys():
            if has_layer(vars(module)[name]):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% unsaved: lists layers that are not in a list
# gets 1 of 3: a layer and a parameter outside a list: expected [], got ['scale', 'teacher']
def unsaved(model):
    saved = {id(part) for part in (*model.modules(), *model.parameters())}

    def has_unsaved(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            return any(map(has_unsaved, value))
        return isinstance(value, nn.Module | nn.Parameter) and id(value) not in saved

    found = []
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if has_unsaved(value):
                found.append(f"{path}.{name}".removeprefix("."))
    return sorted(found)


# %% resume-schedule: loads what is there
# gets 0 of 3: the scheduler's state is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: loads the optimizer first
# gets 0 of 3: the scheduler's state is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    else:
        for _ in range(saved["epoch"]):
            scheduler.step()


# %% resume-schedule: moves one epoch too far
# gets 0 of 3: the scheduler's state is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    for _ in range(saved["epoch"] + 1):
        optimizer.step()
        scheduler.step()
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: sets the number of the last epoch
# gets 1 of 3: CosineAnnealingLR, complete epochs: 1, missing: ['optimizer']: expected
def resume_schedule(optimizer, scheduler, saved):
    scheduler.last_epoch = saved["epoch"]
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: replays the epochs only if the scheduler's state is missing
# gets 1 of 3: CosineAnnealingLR, complete epochs: 1, missing: ['optimizer']: expected
def resume_schedule(optimizer, scheduler, saved):
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    else:
        for _ in range(saved["epoch"]):
            optimizer.step()
            scheduler.step()
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: loads the scheduler, then replays the epochs
# gets 0 of 3: nothing is missing: expected the learning rates
def resume_schedule(optimizer, scheduler, saved):
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    for _ in range(saved["epoch"]):
        optimizer.step()
        scheduler.step()
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: replays the epochs, and loads nothing
# gets 0 of 3: nothing is missing: expected the saved state of Adam, got {}
def resume_schedule(optimizer, scheduler, saved):
    for _ in range(saved["epoch"]):
        optimizer.step()
        scheduler.step()


# %% resume-schedule: replays the epochs, and ignores the scheduler's state
# gets 1 of 3: StepLR with a new gamma, complete epochs: 1, missing: []: expected the learning
def resume_schedule(optimizer, scheduler, saved):
    for _ in range(saved["epoch"]):
        optimizer.step()
        scheduler.step()
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])


# %% resume-schedule: relies on the replayed rate if the optimizer's state is missing
# gets 1 of 3: StepLR with a new gamma, complete epochs: 5, missing: ['optimizer']: expected
def resume_schedule(optimizer, scheduler, saved):
    for _ in range(saved["epoch"]):
        optimizer.step()
        scheduler.step()
    if saved["scheduler"] is not None:
        scheduler.load_state_dict(saved["scheduler"])
    if saved["optimizer"] is not None:
        optimizer.load_state_dict(saved["optimizer"])
