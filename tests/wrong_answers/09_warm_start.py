# %% copy-rows: goes by the place in the list
# gets 0 of 2: expected ones for cat and twos for dog
def copy_rows(head, saved, old_classes, new_classes):
    rows = min(len(old_classes), len(new_classes))
    with torch.no_grad():
        head.weight[:rows] = saved["weight"][:rows]
        head.bias[:rows] = saved["bias"][:rows]


# %% copy-rows: forgets the bias
# gets 1 of 2: the bias of dog is to be the saved dog's
def copy_rows(head, saved, old_classes, new_classes):
    with torch.no_grad():
        for row, name in enumerate(new_classes):
            if name in old_classes:
                head.weight[row] = saved["weight"][old_classes.index(name)]


# %% copy-rows: looks for the old names in the new order
# gets 0 of 2: expected ones for cat and twos for dog
def copy_rows(head, saved, old_classes, new_classes):
    with torch.no_grad():
        for old_row, name in enumerate(old_classes):
            if name in new_classes:
                head.weight[old_row] = saved["weight"][new_classes.index(name) - 1]
                head.bias[old_row] = saved["bias"][new_classes.index(name) - 1]


# %% copy-rows: begins with zeros
# gets 1 of 2: the weight of eel is to be as it was, since no other knows it
def copy_rows(head, saved, old_classes, new_classes):
    with torch.no_grad():
        for part, tensor in head.named_parameters():
            tensor.zero_()
            for name in set(old_classes) & set(new_classes):
                tensor[new_classes.index(name)] = saved[part][old_classes.index(name)]


# %% copy-rows: puts new parameters into the head
# gets 1 of 2: no longer trains it
def copy_rows(head, saved, old_classes, new_classes):
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    for row, name in enumerate(new_classes):
        if name in old_classes:
            weight[row] = saved["weight"][old_classes.index(name)]
            bias[row] = saved["bias"][old_classes.index(name)]
    head.weight, head.bias = nn.Parameter(weight), nn.Parameter(bias)


# %% renamed: replaces wherever it finds it
# gets 0 of 3: 'stem0.conv.weight': 10.0
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old, new in paths.items():
            name = name.replace(old, new)
        result[name] = tensor
    return result


# %% renamed: looks only at how the name begins
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


# %% renamed: replaces the part wherever it stands
# gets 1 of 3: 'head.encoder.weight'
def renamed(state_dict, paths):
    return {
        ".".join(paths.get(part, part) for part in name.split(".")): tensor
        for name, tensor in state_dict.items()
    }


# %% renamed: renames what it has renamed
# gets 1 of 3: got [None, 'a.weight']
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old, new in paths.items():
            if name.startswith(old + "."):
                name = new + name.removeprefix(old)
        result[name] = tensor
    return result


# %% renamed: changes the dict that came in
# gets 1 of 3: the state dict that came in was changed
def renamed(state_dict, paths):
    for name in list(state_dict):
        for old in sorted(paths, key=len, reverse=True):
            if name.startswith(old + "."):
                state_dict[paths[old] + name.removeprefix(old)] = state_dict.pop(name)
                break
    return state_dict


# %% renamed: takes the first path that fits
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


# %% renamed: lets one tensor write over another
# gets 1 of 3: one of them is lost
def renamed(state_dict, paths):
    result = {}
    for name, tensor in state_dict.items():
        for old in sorted(paths, key=len, reverse=True):
            if name.startswith(old + "."):
                name = paths[old] + name.removeprefix(old)
                break
        result[name] = tensor
    return result


# %% load-either-way: forgives with strict=False
# gets 0 of 3: a DataParallel took ['weight', 'bias']; expected the weight
def load_either_way(model, state_dict):
    model.load_state_dict(state_dict, strict=False)


# %% load-either-way: unwraps only the state dict
# gets 0 of 3: Missing key(s) in state_dict: "module.weight"
def load_either_way(model, state_dict):
    model.load_state_dict({name.removeprefix("module."): state_dict[name] for name in state_dict})


# %% load-either-way: replaces module. wherever it stands
# gets 1 of 3: Missing key(s) in state_dict: "module.weight"
def load_either_way(model, state_dict):
    while isinstance(model, nn.DataParallel) or hasattr(model, "_orig_mod"):
        model = model.module if isinstance(model, nn.DataParallel) else model._orig_mod
    model.load_state_dict(
        {
            name.replace("module.", "").replace("_orig_mod.", ""): tensor
            for name, tensor in state_dict.items()
        }
    )


# %% load-either-way: takes whatever is called module for a wrapper
# gets 1 of 3: with a layer called module
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
# gets 1 of 3: compiled DataParallel loads what was saved bare
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
# gets 1 of 4: size mismatch for 0.bias
def load_what_fits(model, state_dict):
    result = model.load_state_dict(state_dict, strict=False)
    if len(result.missing_keys) == len(model.state_dict()):
        raise ValueError("Nothing fits.")
    return {
        "missing": sorted(result.missing_keys),
        "unexpected": sorted(result.unexpected_keys),
        "wrong shape": [],
    }


# %% load-what-fits: hides the shapes among the missing
# gets 1 of 4: 'missing': ['0.bias', '2.bias', '2.weight']
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


# %% load-what-fits: copies by hand whatever can be copied
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


# %% load-what-fits: is content with nothing
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


# %% freeze: turns only the gradients off
# gets 1 of 4: training changed the frozen body's ['1.running_mean'
def freeze(body):
    body.requires_grad_(False)


# %% freeze: sets eval mode once
# gets 1 of 4: training changed the frozen body's ['1.running_mean'
def freeze(body):
    body.requires_grad_(False)
    body.eval()


# %% freeze: sets only eval mode
# gets 0 of 4: 0.weight
def freeze(body):
    body.eval()
    body.train = lambda mode=True: body


# %% freeze: stops the statistics, and computes with those of the batch
# gets 1 of 4: training changed the frozen body's ['1.num_batches_tracked'
def freeze(body):
    body.requires_grad_(False)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 0.0


# %% freeze: keeps BatchNorm in eval mode, and not dropout
# gets 1 of 4: does not compute what it computed in eval mode
def freeze(body):
    body.requires_grad_(False)
    for module in body.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.eval()
            module.train = lambda mode=True, module=module: module


# %% freeze: lets no gradient through
# gets 1 of 4: what is not frozen is to learn, and ['0.weight', '0.bias'] did not change
def freeze(body):
    body.requires_grad_(False)
    body.eval()
    body.train = lambda mode=True: body
    forward = body.forward

    def without_gradient(*inputs):
        with torch.no_grad():
            return forward(*inputs)

    body.forward = without_gradient


# %% freeze: leaves a gradient from before
# gets 1 of 4: the body had a gradient when it was frozen
def freeze(body):
    body.requires_grad_(False)
    body.eval()
    body.train = lambda mode=True: body
