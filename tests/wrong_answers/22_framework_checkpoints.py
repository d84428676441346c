# %% network-weights: returns all weights of the file
# gets 0 of 3: a network and a loss: expected the names ['fc.bias', 'fc.weight'], got
def network_weights(path, prefix):
    return torch.load(path)["state_dict"]


# %% network-weights: keeps the buffer of the loss
# gets 0 of 3: got ['fc.bias', 'fc.weight', 'loss.weight']
def network_weights(path, prefix):
    weights = torch.load(path)["state_dict"]
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items()}


# %% network-weights: removes the prefix everywhere in a name
# gets 1 of 3: a prefix that occurs twice in a name: expected the names
def network_weights(path, prefix):
    weights = torch.load(path)["state_dict"]
    found = {k.replace(prefix, ""): v for k, v in weights.items() if k.startswith(prefix)}
    if not found:
        raise ValueError(f"the names begin with {sorted(weights)}")
    return found


# %% network-weights: looks for the prefix anywhere in a name
# gets 1 of 3: an average beside the network: expected weight to be the tensor
def network_weights(path, prefix):
    weights = torch.load(path)["state_dict"]
    found = {k.partition(prefix)[2]: v for k, v in weights.items() if prefix in k}
    if not found:
        raise ValueError(f"the names begin with {sorted(weights)}")
    return found


# %% network-weights: removes the first part of each name
# gets 1 of 3: an average beside the network: expected weight to be the tensor
def network_weights(path, prefix):
    weights = torch.load(path)["state_dict"]
    found = {k.partition(".")[2]: v for k, v in weights.items() if k.startswith(prefix[:-1])}
    if not found:
        raise ValueError(f"the names begin with {sorted(weights)}")
    return found


# %% network-weights: returns an empty dict if no name fits
# gets 1 of 3: no such prefix: expected a ValueError, got {}
def network_weights(path, prefix):
    weights = torch.load(path)["state_dict"]
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


# %% network-weights: does not say which prefixes there are
# gets 1 of 3: no such prefix: expected a message with 'net', got ValueError('nothing
def network_weights(path, prefix):
    weights = torch.load(path)["state_dict"]
    found = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not found:
        raise ValueError("nothing found")
    return found


# %% hyperparameters: turns the protection off
# gets 0 of 4: an AttributeDict: expected plain values, got also
def hyperparameters(path):
    return torch.load(path, weights_only=False).get("hyper_parameters", {})


# %% hyperparameters: runs the code of the file
# gets 0 of 4: a file with other code: the code of the file ran
def hyperparameters(path):
    name = "lightning_fabric.utilities.data.AttributeDict"
    with safe_globals([(dict, name)]):
        try:
            checkpoint = torch.load(path)
        except Exception:
            checkpoint = torch.load(path, weights_only=False)
    return checkpoint.get("hyper_parameters", {})


# %% hyperparameters: allows one name only
# gets 0 of 4: a file with other code: it raised UnpicklingError
def hyperparameters(path):
    with safe_globals([(dict, "lightning_fabric.utilities.data.AttributeDict")]):
        return torch.load(path).get("hyper_parameters", {})


# %% hyperparameters: replaces every name with dict
# gets 0 of 4: a file with other code: it raised ValueError
def hyperparameters(path):
    names = get_unsafe_globals_in_checkpoint(path)
    with safe_globals([(dict, name) for name in names]):
        return torch.load(path).get("hyper_parameters", {})


# %% hyperparameters: replaces the names with an ordinary class
# gets 0 of 4: Can only SETITEMS for dict, collections.OrderedDict, collections.Counter
class StandIn:
    def __init__(self, *args):
        pass


def hyperparameters(path):
    names = get_unsafe_globals_in_checkpoint(path)
    with safe_globals([(StandIn, name) for name in names]):
        return torch.load(path).get("hyper_parameters", {})


# %% hyperparameters: leaves the names allowed
# gets 0 of 4: an AttributeDict: expected no permission to remain, got
class Items:
    def __new__(cls, *args):
        return OrderedDict()


def hyperparameters(path):
    names = get_unsafe_globals_in_checkpoint(path)
    torch.serialization.add_safe_globals([(Items, name) for name in names])
    return dict(torch.load(path).get("hyper_parameters", {}))


# %% hyperparameters: converts the outer dict only
# gets 1 of 4: a class inside a class: expected plain values, got also
class Items:
    def __new__(cls, *args):
        return OrderedDict()


def hyperparameters(path):
    names = get_unsafe_globals_in_checkpoint(path)
    with safe_globals([(Items, name) for name in names]):
        return dict(torch.load(path).get("hyper_parameters", {}))


# %% hyperparameters: does not look into lists
# gets 1 of 4: a class inside a list: expected plain values, got also
class Items:
    def __new__(cls, *args):
        return OrderedDict()


def plain(value):
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def hyperparameters(path):
    names = get_unsafe_globals_in_checkpoint(path)
    with safe_globals([(Items, name) for name in names]):
        return plain(torch.load(path).get("hyper_parameters", {}))


# %% hyperparameters: needs the entry
# gets 1 of 4: no hyperparameters: it raised KeyError('hyper_parameters')
class Items:
    def __new__(cls, *args):
        return OrderedDict()


def plain(value):
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


def hyperparameters(path):
    names = get_unsafe_globals_in_checkpoint(path)
    with safe_globals([(Items, name) for name in names]):
        return plain(torch.load(path)["hyper_parameters"])


# %% trainer-optimizer: makes one group
# gets 0 of 4: two linear layers: it raised ValueError('loaded state dict has a different number
def trainer_optimizer(net, path):
    optimizer = torch.optim.AdamW(net.parameters())
    optimizer.load_state_dict(torch.load(path))
    return optimizer


# %% trainer-optimizer: does not load the state
# gets 0 of 4: two linear layers: expected the learning rate 0.003
def trainer_optimizer(net, path):
    decayed = [p for name, p in net.named_parameters() if not name.endswith("bias")]
    others = [p for name, p in net.named_parameters() if name.endswith("bias")]
    return torch.optim.AdamW([{"params": decayed}, {"params": others}])


# %% trainer-optimizer: puts the biases first
# gets 0 of 4: two linear layers: expected the weight decay 0.02 for 0.weight, got 0.0
def trainer_optimizer(net, path):
    decayed = [p for name, p in net.named_parameters() if not name.endswith("bias")]
    others = [p for name, p in net.named_parameters() if name.endswith("bias")]
    optimizer = torch.optim.AdamW([{"params": others}, {"params": decayed}])
    optimizer.load_state_dict(torch.load(path))
    return optimizer


# %% trainer-optimizer: splits by position
# gets 0 of 4: two linear layers: expected the weight decay 0.0 for 0.bias, got 0.02
def trainer_optimizer(net, path):
    state, parameters = torch.load(path), list(net.parameters())
    first = len(state["param_groups"][0]["params"])
    groups = [{"params": parameters[:first]}, {"params": parameters[first:]}]
    optimizer = torch.optim.AdamW(groups)
    optimizer.load_state_dict(state)
    return optimizer


# %% trainer-optimizer: forgets the LayerNorm
# gets 1 of 4: layers with a LayerNorm: it raised ValueError
def trainer_optimizer(net, path):
    decayed = [p for name, p in net.named_parameters() if not name.endswith("bias")]
    others = [p for name, p in net.named_parameters() if name.endswith("bias")]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others}])
    optimizer.load_state_dict(torch.load(path))
    return optimizer


# %% trainer-optimizer: goes by the number of dimensions
# gets 1 of 4: a vector that is not a bias: it raised ValueError
def trainer_optimizer(net, path):
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others}])
    optimizer.load_state_dict(torch.load(path))
    return optimizer


# %% trainer-optimizer: takes only the names that end in bias
# gets 1 of 4: an LSTM: it raised ValueError
def trainer_optimizer(net, path):
    norms = [m for m in net.modules() if isinstance(m, nn.LayerNorm)]
    plain = {p for m in norms for p in m.parameters()}
    plain |= {p for name, p in net.named_parameters() if name.endswith("bias")}
    decayed = [p for p in net.parameters() if p not in plain]
    others = [p for p in net.parameters() if p in plain]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others}])
    optimizer.load_state_dict(torch.load(path))
    return optimizer


# %% trainer-optimizer: takes every normalisation layer for a LayerNorm
# gets 1 of 4: a convolution with a batch norm: it raised ValueError
def trainer_optimizer(net, path):
    kinds = nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d
    plain = {p for m in net.modules() if isinstance(m, kinds) for p in m.parameters()}
    named = list(net.named_parameters())
    plain |= {p for name, p in named if "bias" in name}
    groups = [[p for _, p in named if (p in plain) == last] for last in (False, True)]
    optimizer = torch.optim.AdamW([{"params": group} for group in groups])
    optimizer.load_state_dict(torch.load(path))
    return optimizer


# %% raw-weights: returns the average
# gets 0 of 3: a file with an average: expected the weights
def raw_weights(path):
    return torch.load(path)["state_dict"]


# %% raw-weights: needs the key of weight averaging
# gets 1 of 3: a file without an average: it raised KeyError('current_model_state')
def raw_weights(path):
    return torch.load(path)["current_model_state"]


# %% raw-weights: returns lost weights
# gets 1 of 3: a file that was saved after the training: expected a ValueError, got
def raw_weights(path):
    checkpoint = torch.load(path)
    return checkpoint.get("current_model_state", checkpoint["state_dict"])


# %% raw-weights: takes the first step for lost weights
# gets 1 of 3: a file after the first step: it raised ValueError
def raw_weights(path):
    checkpoint = torch.load(path)
    raw = checkpoint.get("current_model_state", checkpoint["state_dict"])
    if "current_model_state" in checkpoint and raw == checkpoint["state_dict"]:
        raise ValueError("lost")
    return raw


# %% raw-weights: compares the first tensor only
# gets 1 of 3: only the last tensor differs: it raised ValueError
def raw_weights(path):
    checkpoint = torch.load(path)
    average = checkpoint["state_dict"]
    raw = checkpoint.get("current_model_state", average)
    same = torch.equal(raw["model.weight"], average["model.weight"])
    state = checkpoint.get("averaging_state", {"n_averaged": 0})
    if state["n_averaged"] > 1 and same:
        raise ValueError("lost")
    return raw


# %% raw-weights: takes one equal tensor for lost weights
# gets 1 of 3: only the last tensor differs: it raised ValueError
def raw_weights(path):
    checkpoint = torch.load(path)
    average = checkpoint["state_dict"]
    raw = checkpoint.get("current_model_state", average)
    state = checkpoint.get("averaging_state", {"n_averaged": 0})
    if state["n_averaged"] > 1 and any(torch.equal(raw[k], average[k]) for k in raw):
        raise ValueError("lost")
    return raw
