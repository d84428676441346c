# %% copy-rows: goes by the position in the list
# gets 0 of 2: in the rows cat and dog are [[2.0, 2.0]
def copy_rows(head, saved, old_classes, new_classes):
    rows = min(len(old_classes), len(new_classes))
    with torch.no_grad():
        head.weight[:rows] = saved["weight"][:rows]
        head.bias[:rows] = saved["bias"][:rows]


# %% copy-rows: forgets the bias
# gets 1 of 2: the bias of dog should be that of the saved dog
def copy_rows(head, saved, old_classes, new_classes):
    with torch.no_grad():
        for row, name in enumerate(new_classes):
            if name in old_classes:
                head.weight[row] = saved["weight"][old_classes.index(name)]


# %% copy-rows: looks for the old names in the new order
# gets 0 of 2: in the rows cat and dog are
def copy_rows(head, saved, old_classes, new_classes):
    with torch.no_grad():
        for old_row, name in enumerate(old_classes):
            if name in new_classes:
                head.weight[old_row] = saved["weight"][new_classes.index(name) - 1]
                head.bias[old_row] = saved["bias"][new_classes.index(name) - 1]


# %% copy-rows: starts from zeros
# gets 1 of 2: the weight of eel should be as before, because eel is new
def copy_rows(head, saved, old_classes, new_classes):
    with torch.no_grad():
        for part, tensor in head.named_parameters():
            tensor.zero_()
            for name in set(old_classes) & set(new_classes):
                tensor[new_classes.index(name)] = saved[part][old_classes.index(name)]


# %% copy-rows: puts new parameters into the head
# gets 1 of 2: an optimizer that was built over head before the call no longer trains it
def copy_rows(head, saved, old_classes, new_classes):
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    for row, name in enumerate(new_classes):
        if name in old_classes:
            weight[row] = saved["weight"][old_classes.index(name)]
            bias[row] = saved["bias"][old_classes.index(name)]
    head.weight, head.bias = nn.Parameter(weight), nn.Parameter(bias)


# %% renamed: replaces the path wherever it appears
# gets 0 of 3: 'stem0.conv.weight': 10.0
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old, new in paths.items():
            name = name.replace(old, new)
        result[name] = tensor
    return result


# %% renamed: looks only at the beginning of the name
# gets 0 of 3: 'stem0.conv.weight': 10.0
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old in sorted(paths, key=len, reverse=True):
            if name.startswith(old):
                name = paths[old] + name.removeprefix(old)
                break
        if name in result:
            raise ValueError(name)
        result[name] = tensor
    return result


# %% renamed: replaces the path wherever it is a part of the name
# gets 1 of 3: 'head.encoder.weight'
def renamed(state_dict, paths):
    return {
        ".".join(paths.get(part, part) for part in name.split(".")): tensor
        for name, tensor in state_dict.items()
    }


# %% renamed: renames a name that it has just renamed
# gets 1 of 3: got [None, 'a.weight']
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old, new in paths.items():
            if name.startswith(old + "."):
                name = new + name.removeprefix(old)
        result[name] = tensor
    return result


# %% renamed: changes the dict that was passed in
# gets 1 of 3: the state dict passed in was changed
def renamed(state_dict, paths):
    for name in list(state_dict):
        for old in sorted(paths, key=len, reverse=True):
            if name.startswith(old + "."):
                state_dict[paths[old] + name.removeprefix(old)] = state_dict.pop(name)
                break
    return state_dict


# %% renamed: takes the first path that matches
# gets 1 of 3: got ['stem.weight', 'stem.0.weight', 'stem.01.weight']
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old, new in paths.items():
            if name.startswith(old + "."):
                name = new + name.removeprefix(old)
                break
        if name in result:
            raise ValueError(name)
        result[name] = tensor
    return result


# %% renamed: lets one tensor overwrite another
# gets 1 of 3: one of them is lost; expected a ValueError
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old in sorted(paths, key=len, reverse=True):
            if name.startswith(old + "."):
                name = paths[old] + name.removeprefix(old)
                break
        result[name] = tensor
    return result


# %% load-either-way: uses strict=False
# gets 0 of 3: a state dict saved bare, and a model that is DataParallel: expected the weight
def load_either_way(model, state_dict):
    model.load_state_dict(state_dict, strict=False)


# %% load-either-way: unwraps only the state dict
# gets 0 of 3: saved bare, and a model that is DataParallel: it raised RuntimeError
def load_either_way(model, state_dict):
    model.load_state_dict({name.removeprefix("module."): state_dict[name] for name in state_dict})


# %% load-either-way: knows DataParallel and forgets torch.compile
# gets 0 of 3: saved bare, and a model that is compiled: it raised RuntimeError
def load_either_way(model, state_dict):
    inner = model.module if isinstance(model, nn.DataParallel) else model
    if state_dict.keys() != inner.state_dict().keys():
        state_dict = {name.removeprefix("module."): t for name, t in state_dict.items()}
    inner.load_state_dict(state_dict)


# %% load-either-way: replaces module. wherever it appears
# gets 1 of 3: saved bare, and a model that is bare: it raised RuntimeError
def load_either_way(model, state_dict):
    while isinstance(model, nn.DataParallel) or hasattr(model, "_orig_mod"):
        model = model.module if isinstance(model, nn.DataParallel) else model._orig_mod
    model.load_state_dict(
        {
            name.replace("module.", "").replace("_orig_mod.", ""): tensor
            for name, tensor in state_dict.items()
        }
    )


# %% load-either-way: mistakes everything called module for a wrapper
# gets 1 of 3: saved bare, and a model that is bare: it raised RuntimeError
def load_either_way(model, state_dict):
    while hasattr(model, "module") or hasattr(model, "_orig_mod"):
        model = model.module if hasattr(model, "module") else model._orig_mod
    names = model.state_dict()
    bare = {}
    for name, tensor in state_dict.items():
        while name not in names and name.startswith(("module.", "_orig_mod.")):
            name = name.partition(".")[2]
        bare[name] = tensor
    model.load_state_dict(bare)


# %% load-either-way: knows one wrapper at a time
# gets 1 of 3: saved bare, and a model that is compiled DataParallel: it raised RuntimeError
def load_either_way(model, state_dict):
    if isinstance(model, nn.DataParallel):
        model = model.module
    model = getattr(model, "_orig_mod", model)
    names = model.state_dict()
    bare = {
        name if name in names else name.removeprefix("_orig_mod.").removeprefix("module."): tensor
        for name, tensor in state_dict.items()
    }
    model.load_state_dict(bare)


# %% load-what-fits: lets strict=False decide
# gets 0 of 4: and a model for 10: it raised RuntimeError('Error(s) in loading
def load_what_fits(model, state_dict):
    result = model.load_state_dict(state_dict, strict=False)
    if len(result.missing_keys) == len(model.state_dict()):
        raise ValueError("Nothing fits.")
    return {
        "missing": sorted(result.missing_keys),
        "unexpected": sorted(result.unexpected_keys),
        "wrong shape": [],
    }


# %% load-what-fits: reports wrong shapes as missing
# gets 0 of 4: 'missing': ['fc3.bias', 'fc3.weight']
def load_what_fits(model, state_dict):
    own = model.state_dict()
    fits = {
        name: tensor
        for name, tensor in state_dict.items()
        if name not in own or tensor.shape == own[name].shape
    }
    result = model.load_state_dict(fits, strict=False)
    if not own.keys() & fits.keys():
        raise ValueError("Nothing fits.")
    return {
        "missing": sorted(result.missing_keys),
        "unexpected": sorted(result.unexpected_keys),
        "wrong shape": sorted(state_dict.keys() - fits.keys()),
    }


# %% load-what-fits: copies by hand what can be copied
# gets 1 of 4: 'wrong shape': ['2.bias']
def load_what_fits(model, state_dict):
    report = {"missing": [], "unexpected": [], "wrong shape": []}
    own = model.state_dict()
    report["missing"] = sorted(own.keys() - state_dict.keys())
    report["unexpected"] = sorted(state_dict.keys() - own.keys())
    for name in sorted(own.keys() & state_dict.keys()):
        try:
            own[name].copy_(state_dict[name])
        except RuntimeError:
            report["wrong shape"].append(name)
    return report


# %% load-what-fits: accepts that nothing fits
# gets 1 of 4: nothing fits; expected a ValueError
def load_what_fits(model, state_dict):
    own = model.state_dict()
    both = own.keys() & state_dict.keys()
    fits = {name: state_dict[name] for name in both if state_dict[name].shape == own[name].shape}
    model.load_state_dict(fits, strict=False)
    return {
        "missing": sorted(own.keys() - state_dict.keys()),
        "unexpected": sorted(state_dict.keys() - own.keys()),
        "wrong shape": sorted(both - fits.keys()),
    }


# %% load-what-fits: goes through the parameters and forgets the buffers
# gets 1 of 4: 'unexpected': ['1.num_batches_tracked', '1.running_mean'
def load_what_fits(model, state_dict):
    own = dict(model.named_parameters())
    both = own.keys() & state_dict.keys()
    fits = {name: state_dict[name] for name in both if state_dict[name].shape == own[name].shape}
    if not fits:
        raise ValueError("Nothing fits.")
    model.load_state_dict(fits, strict=False)
    return {
        "missing": sorted(own.keys() - state_dict.keys()),
        "unexpected": sorted(state_dict.keys() - own.keys()),
        "wrong shape": sorted(both - fits.keys()),
    }


# %% freeze: sets eval mode once
# gets 0 of 4: expected 1.weight and 1.bias to change, and ['0.1.running_mean'
def freeze(body):
    body.requires_grad_(False)
    body.eval()


# %% freeze: turns only the gradients off
# gets 0 of 4: expected 1.weight and 1.bias to change, and ['0.1.running_mean'
def freeze(body):
    body.requires_grad_(False)


# %% freeze: sets only eval mode
# gets 0 of 4: 0.0.weight
def freeze(body):
    body.eval()
    body.train = lambda mode=True: body


# %% freeze: stops the statistics, and normalizes with those of the batch
# gets 0 of 4: and ['0.1.num_batches_tracked'
def freeze(body):
    body.requires_grad_(False)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 0.0


# %% freeze: keeps BatchNorm in eval mode, and not dropout
# gets 1 of 4: the frozen body does not compute what it computed in eval mode
def freeze(body):
    body.requires_grad_(False)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
            module.train = lambda mode=True, module=module: module


# %% freeze: lets no gradient through
# gets 1 of 4: ['0.weight', '0.bias'] is not frozen, and did not change
def freeze(body):
    body.requires_grad_(False)
    body.eval()
    body.train = lambda mode=True: body
    forward = body.forward

    def without_gradient(*inputs):
        with torch.no_grad():
            return forward(*inputs)

    body.forward = without_gradient


# %% freeze: leaves an earlier gradient
# gets 1 of 4: a body that has a gradient when it is frozen: the next step
def freeze(body):
    body.requires_grad_(False)
    body.eval()
    body.train = lambda mode=True: body
