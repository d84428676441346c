# %% read-folder: reads every file in the folder
# gets 0 of 4: an older shard: expected the names ['a', 'b', 'c'], got ['a', 'b', 'c', 'd']
def read_folder(folder):
    tensors = {}
    for path in sorted(Path(folder).glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors


# %% read-folder: prefers the index to a single file
# gets 1 of 4: a single file: it raised FileNotFoundError
def read_folder(folder):
    folder = Path(folder)
    weight_map = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    files = sorted(set(weight_map.values()))
    if missing := [file for file in files if not (folder / file).exists()]:
        raise FileNotFoundError(", ".join(missing))
    shards = {file: load_file(folder / file) for file in files}
    return {name: shards[file][name] for name, file in weight_map.items()}


# %% read-folder: takes every tensor of the files that the index names
# gets 1 of 4: a name in two shards, of which the index names the first: expected a to be tensor(
def read_folder(folder):
    folder, tensors = Path(folder), {}
    if (folder / "model.safetensors").exists():
        return load_file(folder / "model.safetensors")
    weight_map = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    for file in sorted(set(weight_map.values())):
        tensors |= load_file(folder / file)
    return tensors


# %% read-folder: names the first missing shard only
# gets 1 of 4: three of four shards are missing: expected a message with ['model-00003-of-00004
def read_folder(folder):
    folder = Path(folder)
    if (folder / "model.safetensors").exists():
        return load_file(folder / "model.safetensors")
    weight_map = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    shards = {file: load_file(folder / file) for file in sorted(set(weight_map.values()))}
    return {name: shards[file][name] for name, file in weight_map.items()}


# %% read-folder: looks for a name in all shards
# gets 1 of 4: a name that is in another shard: expected a KeyError, got {
def read_folder(folder):
    folder = Path(folder)
    if (folder / "model.safetensors").exists():
        return load_file(folder / "model.safetensors")
    weight_map = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    files = sorted(set(weight_map.values()))
    if missing := [file for file in files if not (folder / file).exists()]:
        raise FileNotFoundError(", ".join(missing))
    shards = {file: load_file(folder / file) for file in files}
    everything = {name: tensor for shard in shards.values() for name, tensor in shard.items()}
    return {name: shards[file].get(name, everything[name]) for name, file in weight_map.items()}


# %% read-folder: expects a Path
# gets 1 of 4: a path as text: it raised TypeError
def read_folder(folder):
    if (folder / "model.safetensors").exists():
        return load_file(folder / "model.safetensors")
    weight_map = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    files = sorted(set(weight_map.values()))
    if missing := [file for file in files if not (folder / file).exists()]:
        raise FileNotFoundError(", ".join(missing))
    shards = {file: load_file(folder / file) for file in files}
    return {name: shards[file][name] for name, file in weight_map.items()}


# %% load-tied: ignores whatever is missing
# gets 0 of 4: a file without norm.bias: expected a KeyError, and nothing was raised
def load_tied(model, tensors):
    model.load_state_dict(tensors, strict=False)


# %% load-tied: is strict
# gets 0 of 4: a file without head.weight: it raised RuntimeError
def load_tied(model, tensors):
    model.load_state_dict(tensors)


# %% load-tied: always accepts that the head is missing
# gets 1 of 4: a file without embed.weight: it raised KeyError
def load_tied(model, tensors):
    wrong = (tensors.keys() ^ model.state_dict().keys()) - {"head.weight"}
    if wrong:
        raise KeyError(str(sorted(wrong)))
    model.load_state_dict(tensors, strict=False)


# %% load-tied: loads before it checks
# gets 0 of 4: a file without norm.bias: expected an unchanged model, and
def load_tied(model, tensors):
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    names = model.state_dict(keep_vars=True)
    loaded = {id(names[name]) for name in tensors if name in names}
    missing = [name for name in missing if id(names[name]) not in loaded]
    if missing or unexpected:
        raise KeyError(str(missing + unexpected))


# %% load-tied: takes equal values for tied weights
# gets 0 of 4: a file without norm.bias: expected a KeyError, and nothing was raised
def load_tied(model, tensors):
    state, complete = model.state_dict(), dict(tensors)
    for name, value in state.items():
        for other in state:
            if torch.equal(value, state[other]) and name not in tensors and other in tensors:
                complete[name] = tensors[other]
            same = torch.equal(value, state[other]) and name in tensors and other in tensors
            is_parameter = name.endswith("weight")
            if same and is_parameter and not torch.equal(tensors[name], tensors[other]):
                raise ValueError(f"{name} and {other} differ")
    if wrong := sorted(complete.keys() ^ state.keys()):
        raise KeyError(", ".join(wrong))
    model.load_state_dict(complete)


# %% load-tied: lets the last of several values win
# gets 1 of 4: tied names with different values: expected a ValueError, and nothing was raised
def load_tied(model, tensors):
    names = model.state_dict(keep_vars=True)
    found = {id(names[name]) for name in tensors if name in names}
    missing = [n for n in names if n not in tensors and id(names[n]) not in found]
    if wrong := missing + [name for name in tensors if name not in names]:
        raise KeyError(", ".join(wrong))
    model.load_state_dict(tensors, strict=False)


# %% load-tied: adds the tied names to the argument
# gets 0 of 4: a file without head.weight: expected unchanged tensors, got
def load_tied(model, tensors):
    names = model.state_dict(keep_vars=True)
    for name, parameter in names.items():
        for other in list(tensors):
            if name not in tensors and names.get(other) is parameter:
                tensors[name] = tensors[other]
    if wrong := sorted(tensors.keys() ^ names.keys()):
        raise KeyError(", ".join(wrong))
    model.load_state_dict(tensors)


# %% load-tied: names the missing ones and forgets the unexpected ones
# gets 1 of 4: two unexpected names: expected a KeyError, and nothing was raised
def load_tied(model, tensors):
    names_of = {}
    for name, parameter in model.state_dict(keep_vars=True).items():
        names_of.setdefault(id(parameter), []).append(name)
    complete = {}
    for names in names_of.values():
        found = [tensors[name] for name in names if name in tensors]
        if any(not torch.equal(found[0], other) for other in found):
            raise ValueError(str(names))
        if not found:
            raise KeyError(str(names))
        complete |= {name: found[0] for name in names}
    model.load_state_dict(complete)


# %% join-experts: stacks in the order of the names
# gets 0 of 4: twelve experts, sorted by name as in a file: expected 7.0 in the rows of gate of
def join_experts(tensors):
    joined, parts = {}, {}
    for name, tensor in sorted(tensors.items()):
        place = re.fullmatch(r"(.+\.experts)\.\d+\.(\w+_proj)\.weight", name)
        if place:
            parts.setdefault(place[1], {}).setdefault(place[2], []).append(tensor)
        else:
            joined[name] = tensor
    for layer, found in parts.items():
        gate, up = torch.stack(found["gate_proj"]), torch.stack(found["up_proj"])
        joined[f"{layer}.gate_up_proj"] = torch.cat([gate, up], dim=1)
        joined[f"{layer}.down_proj"] = torch.stack(found["down_proj"])
    return joined


# %% join-experts: puts the rows of up first
# gets 0 of 4: expected 1.0 in the rows of gate of expert 0, got [2.0]
def join_experts(tensors):
    joined, parts = {}, {}
    for name, tensor in tensors.items():
        place = re.fullmatch(r"(.+\.experts)\.(\d+)\.(\w+)_proj\.weight", name)
        if place:
            parts.setdefault(place[1], {})[int(place[2]), place[3]] = tensor
        else:
            joined[name] = tensor
    for layer, found in parts.items():
        count = range(1 + max(number for number, _ in found))
        both = [torch.cat([found[n, "up"], found[n, "gate"]]) for n in count]
        joined[f"{layer}.gate_up_proj"] = torch.stack(both)
        joined[f"{layer}.down_proj"] = torch.stack([found[n, "down"] for n in count])
    return joined


# %% join-experts: keeps the matrices of the experts as well
# gets 0 of 4: twelve experts, sorted by name as in a file: expected the names
def join_experts(tensors):
    joined, parts = dict(tensors), {}
    for name, tensor in tensors.items():
        place = re.fullmatch(r"(.+\.experts)\.(\d+)\.(\w+)_proj\.weight", name)
        if place:
            parts.setdefault(place[1], {})[int(place[2]), place[3]] = tensor
    for layer, found in parts.items():
        count = range(1 + max(number for number, _ in found))
        both = [torch.cat([found[n, "gate"], found[n, "up"]]) for n in count]
        joined[f"{layer}.gate_up_proj"] = torch.stack(both)
        joined[f"{layer}.down_proj"] = torch.stack([found[n, "down"] for n in count])
    return joined


# %% join-experts: joins the experts of all layers
# gets 1 of 4: two layers with three and five experts, and other names: expected the names
def join_experts(tensors):
    joined, found, prefix = {}, {}, ""
    for name, tensor in tensors.items():
        place = re.fullmatch(r"(.+\.experts)\.(\d+)\.(\w+)_proj\.weight", name)
        if place:
            prefix, found[int(place[2]), place[3]] = place[1], tensor
        else:
            joined[name] = tensor
    if found:
        count = range(1 + max(number for number, _ in found))
        both = [torch.cat([found[n, "gate"], found[n, "up"]]) for n in count]
        joined[f"{prefix}.gate_up_proj"] = torch.stack(both)
        joined[f"{prefix}.down_proj"] = torch.stack([found[n, "down"] for n in count])
    return joined


# %% join-experts: takes the experts that are there
# gets 1 of 4: without model.layers.0.mlp.experts.3.up_proj.weight: expected a ValueError, got
def join_experts(tensors):
    joined, parts = {}, {}
    for name, tensor in tensors.items():
        place = re.fullmatch(r"(.+\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
        if place:
            parts.setdefault(place[1], {})[int(place[2]), place[3]] = tensor
        else:
            joined[name] = tensor
    for layer, found in parts.items():
        numbers = sorted({number for number, _ in found})
        for n in numbers:
            for kind in ("gate", "up", "down"):
                found.setdefault((n, kind), torch.zeros_like(found[numbers[0], "up"]))
        both = [torch.cat([found[n, "gate"], found[n, "up"]]) for n in numbers]
        joined[f"{layer}.gate_up_proj"] = torch.stack(both)
        joined[f"{layer}.down_proj"] = torch.stack([found[n, "down"] for n in numbers])
    return joined


# %% join-experts: reports a missing matrix as a KeyError
# gets 1 of 4: without model.layers.0.mlp.experts.3.up_proj.weight: expected a ValueError, got
def join_experts(tensors):
    joined, parts = {}, {}
    for name, tensor in tensors.items():
        place = re.fullmatch(r"(.+\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
        if place:
            parts.setdefault(place[1], {})[int(place[2]), place[3]] = tensor
        else:
            joined[name] = tensor
    for layer, found in parts.items():
        count = range(1 + max(number for number, _ in found))
        both = [torch.cat([found[n, "gate"], found[n, "up"]]) for n in count]
        joined[f"{layer}.gate_up_proj"] = torch.stack(both)
        joined[f"{layer}.down_proj"] = torch.stack([found[n, "down"] for n in count])
    return joined


# %% join-experts: converts to float32
# gets 1 of 4: layers 1 and 11 in bfloat16: expected gate_up_proj of shape
def join_experts(tensors):
    joined, parts = {}, {}
    for name, tensor in tensors.items():
        place = re.fullmatch(r"(.+\.experts)\.(\d+)\.(gate|up|down)_proj\.weight", name)
        if place:
            parts.setdefault(place[1], {})[int(place[2]), place[3]] = tensor.float()
        else:
            joined[name] = tensor
    for layer, found in parts.items():
        count = range(1 + max(number for number, _ in found))
        for n in count:
            for kind in ("gate", "up", "down"):
                if (n, kind) not in found:
                    raise ValueError(f"{layer}.{n}.{kind}_proj.weight")
        both = [torch.cat([found[n, "gate"], found[n, "up"]]) for n in count]
        joined[f"{layer}.gate_up_proj"] = torch.stack(both)
        joined[f"{layer}.down_proj"] = torch.stack([found[n, "down"] for n in count])
    return joined
