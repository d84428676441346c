# %% lost-share: computes the step in float32
# gets 0 of 3: the weights 1, 0.1, -0.1 and 0 in torch.bfloat16, lr 0.001: expected 0.25, got 0.0
def lost_share(model, lr):
    trained = [p.detach().float() for p in model.parameters() if p.requires_grad]
    lost = sum((p - lr == p).sum().item() for p in trained)
    return lost / max(1, sum(p.numel() for p in trained))


# %% lost-share: compares the step with the epsilon of the dtype
# gets 1 of 3: weights of 1 and a step that is just kept, lr 0.002: expected 0, got 1.0
def lost_share(model, lr):
    trained = [p.detach() for p in model.parameters() if p.requires_grad]
    lost = sum((lr <= torch.finfo(p.dtype).eps * p.abs()).sum().item() for p in trained)
    return lost / max(1, sum(p.numel() for p in trained))


# %% lost-share: takes the mean over the parameters
# gets 1 of 3: two layers of different sizes, lr 0.001: expected 0.9, got 0.5
def lost_share(model, lr):
    shares = [(p - lr == p).float().mean().item() for p in model.parameters() if p.requires_grad]
    return sum(shares) / max(1, len(shares))


# %% lost-share: counts frozen parameters
# gets 1 of 3: a frozen layer of ones and a trained layer of zeros, lr 0.001: expected 0
def lost_share(model, lr):
    lost = sum((p - lr == p).sum().item() for p in model.parameters())
    return lost / max(1, sum(p.numel() for p in model.parameters()))


# %% lost-share: divides by zero without parameters
# gets 1 of 3: a model without parameters: it raised ZeroDivisionError
def lost_share(model, lr):
    trained = [p.detach() for p in model.parameters() if p.requires_grad]
    return sum((p - lr == p).sum().item() for p in trained) / sum(p.numel() for p in trained)


# %% lost-share: makes the step
# gets 0 of 3: expected an unchanged model, and 1 parameters changed
def lost_share(model, lr):
    lost, count = 0, 0
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                before = p.clone()
                p -= lr
                lost += (p == before).sum().item()
                count += p.numel()
    return lost / max(1, count)


# %% lost-share: uses the dtype of the first parameter for all
# gets 1 of 3: one layer in bfloat16 and one in float32, lr 0.001: expected 0.3, got 1.0
def lost_share(model, lr):
    trained = [p.detach() for p in model.parameters() if p.requires_grad]
    if not trained:
        return 0
    values = torch.cat([p.flatten().to(trained[0].dtype) for p in trained])
    return (values - lr == values).sum().item() / values.numel()


# %% load-exact: only calls load_state_dict
# gets 0 of 4: a velocity in float32 for parameters in bfloat16, velocity of 0: expected tensor(
def load_exact(optimizer, saved):
    optimizer.load_state_dict(saved)


# %% load-exact: converts back after the load
# gets 0 of 4: a velocity in float32 for parameters in bfloat16, velocity of 0: expected tensor(
def load_exact(optimizer, saved):
    optimizer.load_state_dict(copy.deepcopy(saved))
    for state in optimizer.state.values():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and key != "step":
                state[key] = value.float()


# %% load-exact: shares the tensors with saved
# gets 0 of 4: in saved to stay tensor(
def load_exact(optimizer, saved):
    optimizer.load_state_dict(copy.deepcopy(saved))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    for p, number in zip(parameters, numbers, strict=True):
        optimizer.state[p].update(saved["state"].get(number, {}))


# %% load-exact: does not load the hyperparameters
# gets 0 of 4: expected lr to be 0.5, got 0.1
def load_exact(optimizer, saved):
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    for p, number in zip(parameters, numbers, strict=True):
        if number in saved["state"]:
            optimizer.state[p] = copy.deepcopy(saved["state"][number])


# %% load-exact: takes the numbers for positions
# gets 1 of 4: the numbers 7, 3, 5, 0, 9, 1: it raised
def load_exact(optimizer, saved):
    optimizer.load_state_dict(copy.deepcopy(saved))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, state in copy.deepcopy(saved["state"]).items():
        optimizer.state[parameters[index]].update(state)


# %% load-exact: looks at the first group only
# gets 1 of 4: two groups, state in torch.float32, parameters in torch.bfloat16, velocity of
def load_exact(optimizer, saved):
    optimizer.load_state_dict(copy.deepcopy(saved))
    numbers = saved["param_groups"][0]["params"]
    for p, number in zip(optimizer.param_groups[0]["params"], numbers, strict=True):
        optimizer.state[p].update(copy.deepcopy(saved["state"].get(number, {})))


# %% load-exact: expects a state for every parameter
# gets 1 of 4: only two of six parameters have a state: it raised
def load_exact(optimizer, saved):
    optimizer.load_state_dict(copy.deepcopy(saved))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    for p, number in zip(parameters, numbers, strict=True):
        optimizer.state[p].update(copy.deepcopy(saved["state"][number]))


# %% halve: converts every floating-point tensor
# gets 0 of 3: the checkpoint['state'][0]['step']: expected a tensor in torch.float32, got a tensor
def halve(checkpoint):
    if isinstance(checkpoint, dict):
        return {key: halve(value) for key, value in checkpoint.items()}
    if isinstance(checkpoint, list | tuple):
        return type(checkpoint)(map(halve, checkpoint))
    if isinstance(checkpoint, torch.Tensor) and checkpoint.is_floating_point():
        return checkpoint.bfloat16()
    return checkpoint


# %% halve: leaves out tensors with a single element
# gets 1 of 3: a bias with one element: the checkpoint['bias']: expected a tensor in torch.bfloat16
def halve(checkpoint):
    if isinstance(checkpoint, dict):
        return {key: halve(value) for key, value in checkpoint.items()}
    if isinstance(checkpoint, list | tuple):
        return type(checkpoint)(map(halve, checkpoint))
    if isinstance(checkpoint, torch.Tensor):
        is_large = checkpoint.dtype == torch.float32 and checkpoint.numel() > 1
        return checkpoint.bfloat16() if is_large else checkpoint
    return checkpoint


# %% halve: converts tensors of other dtypes as well
# gets 1 of 3: the checkpoint['a']: expected a tensor in torch.float64, got a tensor in
def halve(checkpoint):
    if isinstance(checkpoint, dict):
        return {key: halve(value) for key, value in checkpoint.items()}
    if isinstance(checkpoint, list | tuple):
        return type(checkpoint)(map(halve, checkpoint))
    if isinstance(checkpoint, torch.Tensor):
        is_large = checkpoint.is_floating_point() and checkpoint.dim() > 0
        return checkpoint.bfloat16() if is_large else checkpoint
    return checkpoint


# %% halve: looks only into dicts
# gets 1 of 3: tensors in a list and in a tuple: the checkpoint['a'][0]: expected a tensor in
def halve(checkpoint):
    if isinstance(checkpoint, dict):
        return {key: halve(value) for key, value in checkpoint.items()}
    if isinstance(checkpoint, torch.Tensor) and checkpoint.dim():
        return checkpoint.bfloat16() if checkpoint.dtype == torch.float32 else checkpoint
    return checkpoint


# %% halve: makes lists of tuples
# gets 1 of 3: tensors in a list and in a tuple: the checkpoint['b']: expected (tensor(
def halve(checkpoint):
    if isinstance(checkpoint, dict):
        return {key: halve(value) for key, value in checkpoint.items()}
    if isinstance(checkpoint, list | tuple):
        return [halve(value) for value in checkpoint]
    if isinstance(checkpoint, torch.Tensor) and checkpoint.dim():
        return checkpoint.bfloat16() if checkpoint.dtype == torch.float32 else checkpoint
    return checkpoint


# %% halve: changes its argument
# gets 0 of 3: the function changed its argument
def halve(checkpoint):
    for key, value in checkpoint.items():
        if isinstance(value, dict):
            halve(value)
        elif isinstance(value, torch.Tensor) and value.dtype == torch.float32 and value.dim():
            checkpoint[key] = value.bfloat16()
    return checkpoint


# %% resume-both: continues from the average
# gets 0 of 4: the whole state dict of the average: expected 0.weight of the model after the call
def resume_both(saved, model, optimizer, averaged):
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    averaged.load_state_dict(saved["averaged"])
    model.load_state_dict(averaged.module.state_dict())
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))


# %% resume-both: begins a new average
# gets 0 of 4: the whole state dict of the average: expected n_averaged of the average after
def resume_both(saved, model, optimizer, averaged):
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))


# %% resume-both: loads the optimizer without a copy
# gets 0 of 4: the whole state dict of the average: later steps changed saved: expected
def resume_both(saved, model, optimizer, averaged):
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    if "n_averaged" in saved["averaged"]:
        averaged.load_state_dict(saved["averaged"])
    else:
        averaged.module.load_state_dict(saved["averaged"])
        averaged.n_averaged.fill_(1)


# %% resume-both: expects the prefix and the counter
# gets 1 of 4: plain names: it raised RuntimeError
def resume_both(saved, model, optimizer, averaged):
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    averaged.load_state_dict(saved["averaged"])


# %% resume-both: leaves the counter at zero
# gets 1 of 4: plain names: expected n_averaged to be 1, got 0
def resume_both(saved, model, optimizer, averaged):
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    if "n_averaged" in saved["averaged"]:
        averaged.load_state_dict(saved["averaged"])
    else:
        averaged.module.load_state_dict(saved["averaged"])


# %% resume-both: loads the average with strict=False
# gets 1 of 4: plain names: expected 0.weight of the average after the call
def resume_both(saved, model, optimizer, averaged):
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    averaged.load_state_dict(saved["averaged"], strict=False)


# %% resume-both: raises after it has loaded the average
# gets 1 of 4: the key model is missing: expected n_averaged of the average to be tensor(0)
def resume_both(saved, model, optimizer, averaged):
    if "n_averaged" in saved["averaged"]:
        averaged.load_state_dict(saved["averaged"])
    else:
        averaged.module.load_state_dict(saved["averaged"])
        averaged.n_averaged.fill_(1)
    if saved.get("model") is None:
        raise ValueError("no raw weights")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))


# %% resume-both: falls back to the average
# gets 1 of 4: the key model is missing: expected a ValueError, got None
def resume_both(saved, model, optimizer, averaged):
    plain = {
        k.removeprefix("module."): t for k, t in saved["averaged"].items() if k != "n_averaged"
    }
    model.load_state_dict(saved.get("model") or plain)
    optimizer.load_state_dict(copy.deepcopy(saved["optimizer"]))
    averaged.module.load_state_dict(plain)
    averaged.n_averaged.fill_(saved["averaged"].get("n_averaged", 1))
