# %% layer-fingerprints: hashes the values without the names
# gets 0 of 3: two tensors of a layer have exchanged their names: expected ['fc'] to differ
def layer_fingerprints(state_dict):
    values = {}
    for name, tensor in state_dict.items():
        data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        values.setdefault(name.rpartition(".")[0], []).append(data)
    return {
        layer: hashlib.sha256(b"".join(sorted(parts))).hexdigest()
        for layer, parts in values.items()
    }


# %% layer-fingerprints: keeps the order of the state dict
# gets 1 of 3: another order: expected [] to differ, found ['0', '1']
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in state_dict.items():
        digest = digests.setdefault(name.rpartition(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {list(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% layer-fingerprints: hashes the text of the tensors
# gets 1 of 3: one of 2000 numbers: expected ['a'] to differ, found []
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in sorted(state_dict.items()):
        digest = digests.setdefault(name.rpartition(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {tensor.shape} {tensor.dtype} {tensor.detach()}".encode())
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% layer-fingerprints: uses hash(), which differs in each process
# gets 0 of 3: expected 64 hexadecimal digits for '0'
def layer_fingerprints(state_dict):
    layers = {}
    for name, tensor in sorted(state_dict.items()):
        layers.setdefault(name.rpartition(".")[0], []).append((name, str(tensor)))
    return {layer: hash(tuple(parts)) for layer, parts in layers.items()}


# %% layer-fingerprints: forgets the shape
# gets 1 of 3: another shape: expected ['a'] to differ, found []
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in sorted(state_dict.items()):
        digest = digests.setdefault(name.rpartition(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% layer-fingerprints: forgets the dtype
# gets 1 of 3: another dtype with the same bytes: expected ['a'] to differ, found []
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in sorted(state_dict.items()):
        digest = digests.setdefault(name.rpartition(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% layer-fingerprints: passes the tensor to NumPy, which has no bfloat16
# gets 1 of 3: another dtype with the same values: it raised TypeError
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in sorted(state_dict.items()):
        digest = digests.setdefault(name.rpartition(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {list(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% layer-fingerprints: hashes the storage, which is larger than a slice
# gets 1 of 3: a transposed tensor: expected [] to differ, found ['a']
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in sorted(state_dict.items()):
        digest = digests.setdefault(name.rpartition(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {list(tensor.shape)} {tensor.dtype}".encode())
        digest.update(bytes(tensor.detach().untyped_storage()))
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% layer-fingerprints: takes the first part of the name for the layer
# gets 1 of 3: names without a dot: expected a dict with the layers [''], got
def layer_fingerprints(state_dict):
    digests = {}
    for name, tensor in sorted(state_dict.items()):
        digest = digests.setdefault(name.split(".")[0], hashlib.sha256())
        digest.update(f"{name!r} {list(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy())
    return {layer: digest.hexdigest() for layer, digest in digests.items()}


# %% trained-part: forgets the buffers
# gets 0 of 3: a frozen BatchNorm and a head: expected the names ['1.running_mean', '1.running_var',
def trained_part(model):
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


# %% trained-part: shares its memory with the model
# gets 0 of 3: more training changed 1.running_mean in the result
def trained_part(model):
    frozen = {n for n, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


# %% trained-part: asks the tensors of the state dict
# gets 0 of 3: expected the names ['1.running_mean', '1.running_var', '1.num_batches_tracked',
def trained_part(model):
    return {name: t.clone() for name, t in model.state_dict().items() if t.requires_grad}


# %% trained-part: loses the second name of a tied parameter
# gets 1 of 3: a tied weight: expected the names ['scale', 'embed.weight', 'head.weight',
def trained_part(model):
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    trained |= {name for name, _ in model.named_buffers()}
    return {name: t.clone() for name, t in model.state_dict().items() if name in trained}


# %% trained-part: keeps the second name of a frozen tied parameter
# gets 1 of 3: a frozen tied weight: expected the names ['scale', 'fc.weight', 'fc.bias',
def trained_part(model):
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    return {name: t.clone() for name, t in model.state_dict().items() if name not in frozen}


# %% trained-part: decides for whole layers
# gets 1 of 3: only the bias is trained: expected the names ['bias']
def trained_part(model):
    trained = {
        name.rpartition(".")[0]
        for name, p in model.named_parameters(remove_duplicate=False)
        if p.requires_grad
    }
    trained |= {name.rpartition(".")[0] for name, _ in model.named_buffers()}
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad and "." in n}
    return {
        name: t.clone()
        for name, t in model.state_dict().items()
        if name.rpartition(".")[0] in trained and name not in frozen
    }


# %% trained-part: also takes buffers that are not in the state dict
# gets 1 of 3: a tied weight: it raised KeyError('mask')
def trained_part(model):
    frozen = {n for n, p in model.named_parameters(remove_duplicate=False) if not p.requires_grad}
    state_dict = model.state_dict()
    names = [name for name in state_dict if name not in frozen]
    names += [name for name, _ in model.named_buffers() if name not in names]
    return {name: state_dict[name].clone() for name in names}


# %% load-trained: does not check the two lists
# gets 0 of 4: a layer with another name: expected a ValueError, got None
def load_trained(model, part):
    model.load_state_dict(part, strict=False)


# %% load-trained: checks the unexpected names only
# gets 1 of 4: 1.weight is missing: expected a ValueError, got None
def load_trained(model, part):
    unexpected = part.keys() - model.state_dict().keys()
    if unexpected:
        raise ValueError(f"unexpected: {sorted(unexpected)}")
    model.load_state_dict(part, strict=False)


# %% load-trained: checks after the load
# gets 0 of 4: a layer with another name: expected an unchanged model, and
def load_trained(model, part):
    result = model.load_state_dict(part, strict=False)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    if result.unexpected_keys or set(result.missing_keys) != frozen:
        raise ValueError(f"{result}")


# %% load-trained: leaves the shapes to load_state_dict
# gets 1 of 4: another shape of 1.weight: expected a ValueError, got RuntimeError
def load_trained(model, part):
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    if part.keys() != model.state_dict().keys() - frozen:
        raise ValueError("other names")
    model.load_state_dict(part, strict=False)


# %% load-trained: accepts tensors of the base
# gets 1 of 4: a whole state dict: expected a ValueError, got None
def load_trained(model, part):
    own = model.state_dict()
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    if not own.keys() - frozen <= part.keys() <= own.keys():
        raise ValueError("other names")
    if any(tensor.shape != own[name].shape for name, tensor in part.items()):
        raise ValueError("other shapes")
    model.load_state_dict(part, strict=False)


# %% load-trained: forgets the buffers
# gets 0 of 4: the part of another network: it raised ValueError
def load_trained(model, part):
    own = dict(model.named_parameters())
    if part.keys() != {name for name, p in own.items() if p.requires_grad}:
        raise ValueError("other names")
    if any(tensor.shape != own[name].shape for name, tensor in part.items()):
        raise ValueError("other shapes")
    model.load_state_dict(part, strict=False)


# %% load-trained: assigns the tensors of the file
# gets 0 of 4: in part has changed
def load_trained(model, part):
    own = model.state_dict()
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    if part.keys() != own.keys() - frozen:
        raise ValueError("other names")
    if any(tensor.shape != own[name].shape for name, tensor in part.items()):
        raise ValueError("other shapes")
    model.load_state_dict(part, strict=False, assign=True)


# %% load-trained: compares the number of elements instead of the shape
# gets 1 of 4: a tensor with a dimension more: expected a ValueError, got RuntimeError
def load_trained(model, part):
    own = model.state_dict()
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    if part.keys() != own.keys() - frozen:
        raise ValueError("other names")
    if any(tensor.numel() != own[name].numel() for name, tensor in part.items()):
        raise ValueError("other shapes")
    model.load_state_dict(part, strict=False)


# %% merge-lora: forgets the scale
# gets 0 of 4: an adapter and a head, scale 2: expected fc1.weight to be
def merge_lora(base, adapter, scale):
    return Merge(base, adapter, 1).result()


class Merge:
    def __init__(self, base, adapter, scale):
        self.base, self.adapter, self.scale = base, adapter, scale

    def result(self):
        prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
        merged = {name: tensor.clone() for name, tensor in self.base.items()}
        for key, tensor in self.adapter.items():
            name = key.removeprefix(prefix)
            if name.endswith(a):
                layer = name.removesuffix(a)
                product = self.adapter[f"{prefix}{layer}{b}"].float() @ tensor.float()
                weight = merged[f"{layer}.weight"]
                summed = weight.float() + self.scale * product
                merged[f"{layer}.weight"] = summed.to(weight.dtype)
            elif not name.endswith(b):
                merged[name] = tensor.to(self.base[name].dtype, copy=True)
        return merged


# %% merge-lora: multiplies A by B
# gets 0 of 4: an adapter and a head, scale 2: it raised RuntimeError
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = {name: tensor.clone() for name, tensor in base.items()}
    for key, tensor in adapter.items():
        name = key.removeprefix(prefix)
        if name.endswith(a):
            layer = name.removesuffix(a)
            merged[f"{layer}.weight"] += scale * (tensor @ adapter[f"{prefix}{layer}{b}"])
        elif not name.endswith(b):
            merged[name] = tensor.clone()
    return merged


# %% merge-lora: adds to the tensors of the base in place
# gets 0 of 4: fc1.weight in base has changed
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = dict(base)
    for key, tensor in adapter.items():
        name = key.removeprefix(prefix)
        if name.endswith(a):
            layer = name.removesuffix(a)
            merged[f"{layer}.weight"] += scale * (adapter[f"{prefix}{layer}{b}"] @ tensor)
        elif not name.endswith(b):
            merged[name] = tensor.clone()
    return merged


# %% merge-lora: loses the head
# gets 0 of 4: an adapter and a head, scale 2: expected fc3.weight to be
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = {name: tensor.clone() for name, tensor in base.items()}
    for key, tensor in adapter.items():
        if key.endswith(a):
            layer = key.removeprefix(prefix).removesuffix(a)
            merged[f"{layer}.weight"] += scale * (adapter[f"{prefix}{layer}{b}"] @ tensor)
    return merged


# %% merge-lora: computes in the dtype of the base
# gets 1 of 4: a base in torch.bfloat16, scale 1: expected model.layers.0.self_attn.q_proj.weight to
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = {name: tensor.clone() for name, tensor in base.items()}
    for key, tensor in adapter.items():
        name = key.removeprefix(prefix)
        if name.endswith(a):
            layer = name.removesuffix(a)
            weight = merged[f"{layer}.weight"]
            product = adapter[f"{prefix}{layer}{b}"].to(weight.dtype) @ tensor.to(weight.dtype)
            merged[f"{layer}.weight"] = weight + scale * product
        elif not name.endswith(b):
            merged[name] = tensor.to(base[name].dtype, copy=True)
    return merged


# %% merge-lora: returns float32
# gets 1 of 4: a base in torch.bfloat16, scale 1: expected model.layers.0.self_attn.q_proj.weight to
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = {name: tensor.clone() for name, tensor in base.items()}
    for key, tensor in adapter.items():
        name = key.removeprefix(prefix)
        if name.endswith(a):
            layer = name.removesuffix(a)
            product = adapter[f"{prefix}{layer}{b}"].float() @ tensor.float()
            merged[f"{layer}.weight"] = base[f"{layer}.weight"].float() + scale * product
        elif not name.endswith(b):
            merged[name] = tensor.to(base[name].dtype, copy=True)
    return merged


# %% merge-lora: ignores keys that fit nothing
# gets 1 of 4: a layer that the base does not have: expected a ValueError, got None
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = {name: tensor.clone() for name, tensor in base.items()}
    for name, weight in base.items():
        layer = prefix + name.removesuffix(".weight")
        if layer + a in adapter and layer + b in adapter:
            product = adapter[layer + b].float() @ adapter[layer + a].float()
            merged[name] = (weight.float() + scale * product).to(weight.dtype)
        elif prefix + name in adapter:
            merged[name] = adapter[prefix + name].to(weight.dtype, copy=True)
    return merged


# %% merge-lora: removes the prefix everywhere in the name
# gets 1 of 4: a layer with the prefix in its own name
def merge_lora(base, adapter, scale):
    prefix, a, b = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
    merged = {name: tensor.clone() for name, tensor in base.items()}
    for key, tensor in adapter.items():
        name = key.replace(prefix, "")
        if name.endswith(a):
            layer = name.removesuffix(a)
            product = adapter[key.replace(a, b)].float() @ tensor.float()
            weight = base[f"{layer}.weight"]
            merged[f"{layer}.weight"] = (weight.float() + scale * product).to(weight.dtype)
        elif not name.endswith(b):
            merged[name] = tensor.to(base[name].dtype, copy=True)
    return merged
