# %% saved-numbers: counts the parameters, not the state dict
# gets 0 of 2: saved_numbers returned 6
def saved_numbers(model):
    return sum(parameter.numel() for parameter in model.parameters())


# %% saved-numbers: adds all buffers, including those that are not persistent
# gets 1 of 2: a plain tensor of 1000: expected 22, and saved_numbers returned 122
def saved_numbers(model):
    return sum(tensor.numel() for tensor in [*model.parameters(), *model.buffers()])


# %% saved-numbers: counts a tied weight once
# gets 1 of 2: one weight of 4 numbers under two names: expected 8, and saved_numbers returned 4
def saved_numbers(model):
    tensors = {tensor.data_ptr(): tensor for tensor in model.state_dict().values()}
    return sum(tensor.numel() for tensor in tensors.values())


# %% saved-numbers: counts the entries
# gets 0 of 2: saved_numbers returned 5
def saved_numbers(model):
    return len(model.state_dict())


# %% snapshot: keeps references
# gets 0 of 3: came back as [[0.0, 0.0]]
def snapshot(model):
    return model.state_dict()


# %% snapshot: copies the dict but not the tensors
# gets 0 of 3: came back as [[0.0, 0.0]]
def snapshot(model):
    return copy.copy(model.state_dict())


# %% snapshot: forgets the buffers
# gets 1 of 3: the snapshot lacks ['1.num_batches_tracked', '1.running_mean', '1.running_var']
def snapshot(model):
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


# %% snapshot: takes all buffers, including those that are not persistent
# gets 1 of 3: load_state_dict refuses the snapshot because it contains ['grid']
def snapshot(model):
    return {n: t.clone() for n, t in [*model.named_parameters(), *model.named_buffers()]}


# %% all-or-nothing: just loads
# gets 0 of 3: a state dict of nines did not fit; the model now holds {'0.weight': 9.0
def load_all_or_nothing(model, state_dict):
    model.load_state_dict(state_dict)


# %% all-or-nothing: swallows the error
# gets 0 of 3: expected a RuntimeError, and none came
def load_all_or_nothing(model, state_dict):
    before = copy.deepcopy(model.state_dict())
    try:
        model.load_state_dict(state_dict)
    except RuntimeError:
        model.load_state_dict(before)


# %% all-or-nothing: goes back to references
# gets 0 of 3: a state dict of nines did not fit; the model now holds {'0.weight': 9.0
def load_all_or_nothing(model, state_dict):
    before = model.state_dict()
    try:
        model.load_state_dict(state_dict)
    except RuntimeError:
        model.load_state_dict(before)
        raise


# %% all-or-nothing: compares the shapes and raises another error
# gets 1 of 3: which says 'size mismatch for 1.weight'; got RuntimeError('does not fit')
def load_all_or_nothing(model, state_dict):
    now = model.state_dict()
    if any(now[name].shape != tensor.shape for name, tensor in state_dict.items()):
        raise RuntimeError("does not fit")
    model.load_state_dict(state_dict)


# %% all-or-nothing: goes back to the parameters only
# gets 1 of 3: 0.running_mean of the model changed from [0.0] to [9.0]
def load_all_or_nothing(model, state_dict):
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    try:
        model.load_state_dict(state_dict)
    except RuntimeError:
        model.load_state_dict(before, strict=False)
        raise


# %% reordered: goes from the new order to the old
# gets 0 of 4: they are {'first': 3.0, 'second': 1.0, 'third': 2.0}
def reordered(state_dict, saved_names, new_names):
    old = [state_dict["state"].get(new_names.index(name)) for name in saved_names]
    state = {index: one for index, one in enumerate(old) if one is not None}
    return {"state": state, "param_groups": state_dict["param_groups"]}


# %% reordered: returns it as it is
# gets 0 of 4: they are {'first': 2.0, 'second': 3.0, 'third': 1.0}
def reordered(state_dict, saved_names, new_names):
    return state_dict


# %% reordered: expects a state for every parameter
# gets 1 of 4: without a state for c, and loaded in the order c, a, b, d: it raised KeyError(2)
def reordered(state_dict, saved_names, new_names):
    old = {name: state_dict["state"][index] for index, name in enumerate(saved_names)}
    state = {index: old[name] for index, name in enumerate(new_names)}
    return {"state": state, "param_groups": state_dict["param_groups"]}


# %% reordered: changes the state dict that was passed in
# gets 1 of 4: the state dict passed in was changed
def reordered(state_dict, saved_names, new_names):
    old = {name: state_dict["state"].get(index) for index, name in enumerate(saved_names)}
    state_dict["state"].clear()
    for index, name in enumerate(new_names):
        if old[name] is not None:
            state_dict["state"][index] = old[name]
    return state_dict


# %% reordered: takes the settings of a new optimizer
# gets 1 of 4: lr was saved as 0.3, and after loading it is 0.1
def reordered(state_dict, saved_names, new_names):
    old = {name: state_dict["state"].get(index) for index, name in enumerate(saved_names)}
    state = {i: old[name] for i, name in enumerate(new_names) if old[name] is not None}
    nothing = [nn.Parameter(torch.zeros(1)) for _ in new_names]
    groups = torch.optim.SGD(nothing, lr=0.1, momentum=0.9).state_dict()["param_groups"]
    return {"state": state, "param_groups": groups}


# %% reordered: reorders the list of positions in the group that was passed in
# gets 1 of 4: the state dict passed in was changed
def reordered(state_dict, saved_names, new_names):
    group = state_dict["param_groups"][0]
    group["params"] = [saved_names.index(name) for name in new_names]
    return state_dict
