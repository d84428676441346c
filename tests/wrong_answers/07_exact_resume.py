# %% first-difference: accepts losses that are nearly equal
# gets 0 of 2: expected 2, got None
def first_difference(resumed, uninterrupted):
    equal = [np.isclose(a, b, equal_nan=True) for a, b in zip(resumed, uninterrupted, strict=False)]
    if False in equal:
        return equal.index(False)
    if len(resumed) != len(uninterrupted):
        return len(equal)


# %% first-difference: looks at the first loss only
# gets 0 of 2: expected 1, got None
def first_difference(resumed, uninterrupted):
    return None if resumed[0] == uninterrupted[0] else 0


# %% first-difference: stops where the shorter run ends
# gets 1 of 2: the resumed run is shorter
def first_difference(resumed, uninterrupted):
    for step, (a, b) in enumerate(zip(resumed, uninterrupted, strict=False)):
        if a != b and not (a != a and b != b):
            return step


# %% first-difference: expects runs of equal length
# gets 1 of 2: the resumed run is shorter: it raised ValueError
def first_difference(resumed, uninterrupted):
    for step, (a, b) in enumerate(zip(resumed, uninterrupted, strict=True)):
        if a != b and not (a != a and b != b):
            return step


# %% first-difference: forgets that nan is not equal to itself
# gets 1 of 2: both are nan from step 1
def first_difference(resumed, uninterrupted):
    for step in range(max(len(resumed), len(uninterrupted))):
        if resumed[step : step + 1] != uninterrupted[step : step + 1]:
            return step
        if resumed[step] != uninterrupted[step]:
            return step


# %% first-difference: finds the last difference
# gets 0 of 2: expected 1, got 3
def first_difference(resumed, uninterrupted):
    different = [
        step
        for step, (a, b) in enumerate(zip(resumed, uninterrupted, strict=True))
        if a != b and not (a != a and b != b)
    ]
    return different[-1] if different else None


# %% first-difference: fills the shorter run with nan
# gets 1 of 2: the longer run ends in nan
def first_difference(resumed, uninterrupted):
    pairs = zip_longest(resumed, uninterrupted, fillvalue=float("nan"))
    for step, (a, b) in enumerate(pairs):
        if a != b and not (a != a and b != b):
            return step
    return None


# %% four-generators: saves the NumPy generator instead of its state
# gets 0 of 4: Weights only load failed
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    torch.save(states | {"rng": rng, "shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path, weights_only=False)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng.bit_generator.state = states["rng"].bit_generator.state
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves NumPy's global state, with its array
# gets 0 of 4: Weights only load failed
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    torch.save(states | {"rng": np.random.get_state(), "shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    np.random.set_state(states["rng"])
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves NumPy's global state, which has no effect on rng
# gets 0 of 4: rng: expected
def save_random(path, rng, shuffle):
    kind, numbers, *rest = np.random.get_state()
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    states["rng"] = (kind, numbers.tolist(), *rest)
    torch.save(states | {"shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    np.random.set_state(states["rng"])
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves the seeds, from which all generators start again
# gets 0 of 4: PyTorch's global generator: expected
def save_random(path, rng, shuffle):
    torch.save({"torch": torch.initial_seed(), "shuffle": shuffle.initial_seed()}, path)


def load_random(path, rng, shuffle):
    seeds = torch.load(path)
    torch.manual_seed(seeds["torch"])
    random.seed(seeds["torch"])
    shuffle.manual_seed(seeds["shuffle"])


# %% four-generators: draws a new seed for all generators
# gets 0 of 4: PyTorch's global generator: expected
def save_random(path, rng, shuffle):
    seed = torch.randint(2**31, ()).item()
    torch.save(seed, path)


def load_random(path, rng, shuffle):
    seed = torch.load(path)
    torch.manual_seed(seed)
    random.seed(seed)
    rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    shuffle.manual_seed(seed)


# %% four-generators: forgets the loader's generator
# gets 0 of 4: shuffle: expected
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    torch.save(states | {"rng": rng.bit_generator.state}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng.bit_generator.state = states["rng"]


# %% four-generators: forgets Python's random
# gets 0 of 4: Python's random: expected
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "rng": rng.bit_generator.state}
    torch.save(states | {"shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    rng.bit_generator.state = states["rng"]
    shuffle.set_state(states["shuffle"])


# %% four-generators: sets a new generator that the caller does not have
# gets 0 of 4: rng: expected
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    states["rng"] = rng.bit_generator.state
    torch.save(states | {"shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng = np.random.default_rng()
    rng.bit_generator.state = states["rng"]
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves only the inner state of rng
# gets 1 of 4: rng, after the first load: expected
def save_random(path, rng, shuffle):
    states = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "rng": rng.bit_generator.state["state"],
        "shuffle": shuffle.get_state(),
    }
    torch.save(states, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng.bit_generator.state = rng.bit_generator.state | {"state": states["rng"]}
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves only the inner state of rng, and drops the stored half of a number
# gets 1 of 4: rng, after the first load: expected
def save_random(path, rng, shuffle):
    states = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "rng": rng.bit_generator.state["state"],
        "shuffle": shuffle.get_state(),
    }
    torch.save(states, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    half = {"has_uint32": 0, "uinteger": 0}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": states["rng"]} | half
    shuffle.set_state(states["shuffle"])


# %% four-generators: sets all generators to a new seed, and saves the seed
# gets 1 of 4: save_random should not change any state
def save_random(path, rng, shuffle):
    torch.save(torch.seed() % 2**31, path)
    load_random(path, rng, shuffle)


def load_random(path, rng, shuffle):
    seed = torch.load(path)
    torch.manual_seed(seed)
    random.seed(seed)
    rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    shuffle.manual_seed(seed)


# %% resume: sets the random state first, and then builds
# gets 0 of 3: first loss after the resume: expected
def resume(path):
    saved = torch.load(path)
    torch.set_rng_state(saved["torch"])
    model = build_model()
    optimizer = build_optimizer(model)
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    scheduler.load_state_dict(saved["scheduler"])
    return model, optimizer, scheduler


# %% resume: loads each part as soon as it is built
# gets 0 of 3: after 2 steps, expected the learning rate
def resume(path):
    saved = torch.load(path)
    model = build_model()
    model.load_state_dict(saved["model"])
    optimizer = build_optimizer(model)
    optimizer.load_state_dict(saved["optimizer"])
    scheduler = build_scheduler(optimizer)
    scheduler.load_state_dict(saved["scheduler"])
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler


# %% resume: does not load the scheduler
# gets 1 of 3: stopped after 3 steps, the losses differ at the steps [2, 3
def resume(path):
    saved = torch.load(path)
    model = build_model()
    optimizer = build_optimizer(model)
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler


# %% resume: does not load the optimizer
# gets 0 of 3: after 2 steps, expected the learning rate
def resume(path):
    saved = torch.load(path)
    model = build_model()
    optimizer = build_optimizer(model)
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    scheduler.load_state_dict(saved["scheduler"])
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler


# %% resume: restores the learning rate and forgets the momentum
# gets 1 of 3: the losses differ at the steps [1, 2, 3, 4, 5, 6, 7] after that
def resume(path):
    saved = torch.load(path)
    model = build_model()
    optimizer = build_optimizer(model)
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    scheduler.load_state_dict(saved["scheduler"])
    for group, rate in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
        group["lr"] = rate
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler


# %% resume: builds the optimizer over another model
# gets 1 of 3: the losses differ at the steps [1, 2, 3
def resume(path):
    saved = torch.load(path)
    model = build_model()
    optimizer = build_optimizer(build_model())
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    scheduler.load_state_dict(saved["scheduler"])
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler
