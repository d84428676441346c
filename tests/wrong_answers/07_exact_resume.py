# %% first-difference: takes nearly equal for equal
# gets 1 of 2: they differ in the last bit
def first_difference(resumed, uninterrupted):
    equal = [np.isclose(a, b, equal_nan=True) for a, b in zip(resumed, uninterrupted, strict=False)]
    if False in equal:
        return equal.index(False)
    if len(resumed) != len(uninterrupted):
        return len(equal)


# %% first-difference: looks at the first loss alone
# gets 0 of 2: step 1 is the first that differs, and it gave None
def first_difference(resumed, uninterrupted):
    return None if resumed[0] == uninterrupted[0] else 0


# %% first-difference: stops where the shorter run ends
# gets 1 of 2: the resumed run is the shorter one
def first_difference(resumed, uninterrupted):
    for step, (a, b) in enumerate(zip(resumed, uninterrupted, strict=False)):
        if a != b and not (a != a and b != b):
            return step


# %% first-difference: expects runs of equal length
# gets 1 of 2: ValueError
def first_difference(resumed, uninterrupted):
    for step, (a, b) in enumerate(zip(resumed, uninterrupted, strict=True)):
        if a != b and not (a != a and b != b):
            return step


# %% first-difference: does not know that nan differs from itself
# gets 1 of 2: both have diverged
def first_difference(resumed, uninterrupted):
    for step in range(max(len(resumed), len(uninterrupted))):
        if resumed[step : step + 1] != uninterrupted[step : step + 1]:
            return step
        if resumed[step] != uninterrupted[step]:
            return step


# %% first-difference: finds the last difference
# gets 0 of 2: step 1 is the first that differs, and it gave 3
def first_difference(resumed, uninterrupted):
    different = [
        step
        for step, (a, b) in enumerate(zip(resumed, uninterrupted, strict=True))
        if a != b and not (a != a and b != b)
    ]
    return different[-1] if different else None


# %% four-generators: saves numpy's generator and not its state
# gets 0 of 4: Weights only load failed
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    torch.save(states | {"numpy": rng, "shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path, weights_only=False)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng.bit_generator.state = states["numpy"].bit_generator.state
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves numpy's global state, with its array
# gets 0 of 4: Weights only load failed
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    torch.save(states | {"numpy": np.random.get_state(), "shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves numpy's global state, which nobody draws from
# gets 1 of 4: load the next numbers should be
def save_random(path, rng, shuffle):
    kind, numbers, *rest = np.random.get_state()
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    states["numpy"] = (kind, numbers.tolist(), *rest)
    torch.save(states | {"shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    shuffle.set_state(states["shuffle"])


# %% four-generators: saves the seeds, from which all begin anew
# gets 0 of 4: torch's next numbers were
def save_random(path, rng, shuffle):
    torch.save({"torch": torch.initial_seed(), "shuffle": shuffle.initial_seed()}, path)


def load_random(path, rng, shuffle):
    seeds = torch.load(path)
    torch.manual_seed(seeds["torch"])
    random.seed(seeds["torch"])
    shuffle.manual_seed(seeds["shuffle"])


# %% four-generators: draws a new seed for each
# gets 0 of 4: torch's next numbers were
def save_random(path, rng, shuffle):
    seed = torch.randint(2**31, ()).item()
    torch.save(seed, path)


def load_random(path, rng, shuffle):
    seed = torch.load(path)
    torch.manual_seed(seed)
    random.seed(seed)
    rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    shuffle.manual_seed(seed)


# %% four-generators: forgets the loader's
# gets 0 of 4: the loader's next order was
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    torch.save(states | {"numpy": rng.bit_generator.state}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng.bit_generator.state = states["numpy"]


# %% four-generators: forgets Python's
# gets 1 of 4: random: after the first load
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "numpy": rng.bit_generator.state}
    torch.save(states | {"shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    rng.bit_generator.state = states["numpy"]
    shuffle.set_state(states["shuffle"])


# %% four-generators: sets a generator that the caller does not have
# gets 1 of 4: load the next numbers should be
def save_random(path, rng, shuffle):
    states = {"torch": torch.get_rng_state(), "python": random.getstate()}
    states["numpy"] = rng.bit_generator.state
    torch.save(states | {"shuffle": shuffle.get_state()}, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng = np.random.default_rng()
    rng.bit_generator.state = states["numpy"]
    shuffle.set_state(states["shuffle"])


# %% resume: sets the random state first, and then builds
# gets 1 of 3: the losses differ at the steps [0, 1, 2
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


# %% resume: loads each as soon as it is built
# gets 1 of 3: after 3 steps the learning rate was
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


# %% resume: leaves the scheduler as it is built
# gets 0 of 3: the scheduler had made 2 steps, and in the resumed run it has made 0
def resume(path):
    saved = torch.load(path)
    model = build_model()
    optimizer = build_optimizer(model)
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler


# %% resume: forgets the optimizer
# gets 1 of 3: after 3 steps the learning rate was
def resume(path):
    saved = torch.load(path)
    model = build_model()
    optimizer = build_optimizer(model)
    scheduler = build_scheduler(optimizer)
    model.load_state_dict(saved["model"])
    scheduler.load_state_dict(saved["scheduler"])
    torch.set_rng_state(saved["torch"])
    return model, optimizer, scheduler


# %% resume: mends the rate and forgets the momentum
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


# %% inside-epoch: saves before the step, which is then never done
# gets 0 of 4: each of the twelve numbers should be done once
def train_epochs(loader, step, epochs, path):
    first = 0
    if Path(path).exists():
        saved = torch.load(path)
        loader.load_state_dict(saved["loader"])
        first = saved["epoch"]
    for epoch in range(first, epochs):
        for batch in loader:
            torch.save({"loader": loader.state_dict(), "epoch": epoch}, path)
            step(batch)


# %% inside-epoch: counts the batches and skips as many in another order
# gets 0 of 4: each of the twelve numbers should be done once
def train_epochs(loader, step, epochs, path):
    done = torch.load(path) if Path(path).exists() else 0
    count = 0
    for _ in range(epochs):
        for batch in loader:
            count += 1
            if count > done:
                step(batch)
                torch.save(count, path)


# %% inside-epoch: saves at the end of each epoch only
# gets 0 of 4: each of the twelve numbers should be done once
def train_epochs(loader, step, epochs, path):
    first = 0
    if Path(path).exists():
        saved = torch.load(path)
        loader.load_state_dict(saved["loader"])
        first = saved["epoch"]
    for epoch in range(first, epochs):
        for batch in loader:
            step(batch)
        torch.save({"loader": loader.state_dict(), "epoch": epoch + 1}, path)


# %% inside-epoch: takes the epoch that has begun for done
# gets 0 of 4: each of the twelve numbers should be done once
def train_epochs(loader, step, epochs, path):
    first = 0
    if Path(path).exists():
        saved = torch.load(path)
        loader.load_state_dict(saved["loader"])
        first = saved["epoch"]
    for epoch in range(first, epochs):
        for batch in loader:
            step(batch)
            torch.save({"loader": loader.state_dict(), "epoch": epoch + 1}, path)


# %% inside-epoch: forgets which epoch it was
# gets 1 of 4: three epochs, dead after the steps
def train_epochs(loader, step, epochs, path):
    if Path(path).exists():
        loader.load_state_dict(torch.load(path))
    for _ in range(epochs):
        for batch in loader:
            step(batch)
            torch.save(loader.state_dict(), path)


# %% inside-epoch: goes back to the file whenever an epoch begins
# gets 1 of 4: three epochs are twelve batches
def train_epochs(loader, step, epochs, path):
    first = torch.load(path)["epoch"] if Path(path).exists() else 0
    for epoch in range(first, epochs):
        if Path(path).exists():
            loader.load_state_dict(torch.load(path)["loader"])
        for batch in loader:
            step(batch)
            torch.save({"loader": loader.state_dict(), "epoch": epoch}, path)


# %% inside-epoch: always begins at the beginning
# gets 0 of 4: each of the twelve numbers should be done once
def train_epochs(loader, step, epochs, path):
    for epoch in range(epochs):
        for batch in loader:
            step(batch)
            torch.save({"loader": loader.state_dict(), "epoch": epoch}, path)


# %% first-difference: fills the shorter run up with nan
# gets 1 of 2: the longer run ends in nan
def first_difference(resumed, uninterrupted):
    pairs = zip_longest(resumed, uninterrupted, fillvalue=float("nan"))
    for step, (a, b) in enumerate(pairs):
        if a != b and not (a != a and b != b):
            return step
    return None


# %% four-generators: keeps only the inner state of numpy's generator
# gets 1 of 4: load the next numbers should be
def save_random(path, rng, shuffle):
    states = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": rng.bit_generator.state["state"],
        "shuffle": shuffle.get_state(),
    }
    torch.save(states, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    rng.bit_generator.state = rng.bit_generator.state | {"state": states["numpy"]}
    shuffle.set_state(states["shuffle"])


# %% four-generators: keeps the inner state of numpy's generator, and forgets the half number
# gets 1 of 4: rng: after the first load
def save_random(path, rng, shuffle):
    states = {
        "torch": torch.get_rng_state(),
        "python": random.getstate(),
        "numpy": rng.bit_generator.state["state"],
        "shuffle": shuffle.get_state(),
    }
    torch.save(states, path)


def load_random(path, rng, shuffle):
    states = torch.load(path)
    torch.set_rng_state(states["torch"])
    random.setstate(states["python"])
    half = {"has_uint32": 0, "uinteger": 0}
    rng.bit_generator.state = {"bit_generator": "PCG64", "state": states["numpy"]} | half
    shuffle.set_state(states["shuffle"])
