# %% repeated: looks for missing indices after the resume only
# gets 0 of 2: expected ([], [])
def repeated_and_missing(before, after, size):
    counts = Counter(sum(before + after, []))
    repeated = sorted(index for index, count in counts.items() if count > 1)
    return repeated, sorted(set(range(size)) - set(sum(after, [])))


# %% repeated: compares the two parts as sets
# gets 1 of 2: an index comes twice after the resume
def repeated_and_missing(before, after, size):
    before, after = set(sum(before, [])), set(sum(after, []))
    return sorted(before & after), sorted(set(range(size)) - before - after)


# %% repeated: lists an index once for each repetition
# gets 1 of 2: an index comes three times
def repeated_and_missing(before, after, size):
    seen, repeated = set(), []
    for index in sum(before + after, []):
        if index in seen:
            repeated.append(index)
        seen.add(index)
    return sorted(repeated), sorted(set(range(size)) - seen)


# %% repeated: returns the indices in the order of training
# gets 0 of 2: expected ([0, 5], [4])
def repeated_and_missing(before, after, size):
    counts = Counter(sum(before + after, []))
    repeated = [index for index in sum(after, []) if counts[index] > 1]
    return list(dict.fromkeys(repeated)), [i for i in range(size) if i not in counts]


# %% repeated: looks for missing indices below the largest one only
# gets 0 of 2: expected ([], [0, 1, 2, 4])
def repeated_and_missing(before, after, size):
    counts = Counter(sum(before + after, []))
    repeated = sorted(index for index, count in counts.items() if count > 1)
    return repeated, [i for i in range(max(sum(after, []), default=0)) if i not in counts]


# %% sampler: draws the order from PyTorch's global generator
# gets 0 of 3: epoch 1 is
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        return iter(torch.randperm(self.size).tolist()[self.done :])


# %% sampler: has the same order in each epoch
# gets 0 of 3: epochs 0 and 1 should have different orders
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed)
        return iter(torch.randperm(self.size, generator=generator).tolist()[self.done :])


# %% sampler: skips as many, but shuffles only the rest
# gets 0 of 3: without its first 16, expected
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        order = list(range(self.done, self.size))
        random.Random(f"{self.seed} {self.epoch}").shuffle(order)
        return iter(order)


# %% sampler: ignores what is done
# gets 0 of 3: without its first 16, expected
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        order = list(range(self.size))
        random.Random(f"{self.seed} {self.epoch}").shuffle(order)
        return iter(order)


# %% sampler: adds the seed and the epoch
# gets 1 of 3: seed 1 in epoch 0 should differ from seed 0 in epoch 1
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(torch.randperm(self.size, generator=generator).tolist()[self.done :])


# %% sampler: seeds PyTorch's global generator
# gets 1 of 3: the sampler changed PyTorch's global random state
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        torch.manual_seed(1000 * self.seed + self.epoch)
        return iter(torch.randperm(self.size).tolist()[self.done :])


# %% sampler: forgets after the first pass that some indices are done
# gets 1 of 3: seed 1, epoch 2, 12 done, second pass
class ResumableSampler(Sampler):
    def __init__(self, size, seed, epoch=0, done=0):
        self.size, self.seed, self.epoch, self.done = size, seed, epoch, done

    def __iter__(self):
        order = list(range(self.size))
        random.Random(f"{self.seed} {self.epoch}").shuffle(order)
        done, self.done = self.done, 0
        return iter(order[done:])


# %% noise: draws from PyTorch's global generator
# gets 0 of 3: the same three numbers should give the same noise
def noisy(image, seed, epoch, index):
    return image + 0.1 * torch.randn_like(image)


# %% noise: forgets the epoch
# gets 0 of 3: seed, epoch, index = (0, 2, 2) should not give the noise of (0, 1, 2)
def noisy(image, seed, epoch, index):
    number = random.Random(f"{seed} {index}").getrandbits(63)
    generator = torch.Generator().manual_seed(number)
    return image + 0.1 * torch.randn(image.shape, generator=generator)


# %% noise: joins the three numbers without a separator
# gets 1 of 3: seed, epoch, index = (0, 1, 12) and (0, 11, 2) should give different noise
def noisy(image, seed, epoch, index):
    generator = torch.Generator().manual_seed(int(f"{seed}{epoch}{index}"))
    return image + 0.1 * torch.randn(image.shape, generator=generator)


# %% noise: adds the three numbers
# gets 1 of 3: seed, epoch, index = (0, 1, 12) and (0, 11, 2) should give different noise
def noisy(image, seed, epoch, index):
    generator = torch.Generator().manual_seed(seed + epoch + index)
    return image + 0.1 * torch.randn(image.shape, generator=generator)


# %% noise: seeds PyTorch's global generator
# gets 1 of 3: noisy changed PyTorch's global random state
def noisy(image, seed, epoch, index):
    torch.manual_seed(random.Random(f"{seed} {epoch} {index}").getrandbits(63))
    return image + 0.1 * torch.randn_like(image)


# %% noise: changes the image in place
# gets 1 of 3: noisy changed the image passed in
def noisy(image, seed, epoch, index):
    number = random.Random(f"{seed} {epoch} {index}").getrandbits(63)
    generator = torch.Generator().manual_seed(number)
    return image.add_(0.1 * torch.randn(image.shape, generator=generator))


# %% noise: adds one number to all pixels
# gets 1 of 3: 192 pixels should have different noise, and have
def noisy(image, seed, epoch, index):
    return image + random.Random(f"{seed} {epoch} {index}").gauss(0, 0.1)


# %% noise: takes the standard deviation for the variance
# gets 1 of 3: expected a standard deviation of 0.1, got 0.316
def noisy(image, seed, epoch, index):
    number = random.Random(f"{seed} {epoch} {index}").getrandbits(63)
    generator = torch.Generator().manual_seed(number)
    return image + 0.1**0.5 * torch.randn(image.shape, generator=generator)


# %% inside-epoch: saves before the step, which is then left out
# gets 0 of 4: after the resume, expected each of the twelve numbers once
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


# %% inside-epoch: counts the batches, and skips as many in another order
# gets 0 of 4: after the resume, expected each of the twelve numbers once
def train_epochs(loader, step, epochs, path):
    done = torch.load(path) if Path(path).exists() else 0
    count = 0
    for _ in range(epochs):
        for batch in loader:
            count += 1
            if count > done:
                step(batch)
                torch.save(count, path)


# %% inside-epoch: saves only at the end of each epoch
# gets 0 of 4: after the resume, expected each of the twelve numbers once
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


# %% inside-epoch: saves the number of the next epoch inside the loop
# gets 0 of 4: after the resume, expected each of the twelve numbers once
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


# %% inside-epoch: does not save the number of the epoch
# gets 1 of 4: dead after the steps (5, 7): expected 12 steps, got 16
def train_epochs(loader, step, epochs, path):
    if Path(path).exists():
        loader.load_state_dict(torch.load(path))
    for _ in range(epochs):
        for batch in loader:
            step(batch)
            torch.save(loader.state_dict(), path)


# %% inside-epoch: loads the file again in each epoch
# gets 1 of 4: without a stop, expected each of the twelve numbers once in epoch 1, got []
def train_epochs(loader, step, epochs, path):
    first = torch.load(path)["epoch"] if Path(path).exists() else 0
    for epoch in range(first, epochs):
        if Path(path).exists():
            loader.load_state_dict(torch.load(path)["loader"])
        for batch in loader:
            step(batch)
            torch.save({"loader": loader.state_dict(), "epoch": epoch}, path)


# %% inside-epoch: always starts from the beginning
# gets 0 of 4: after the resume, expected each of the twelve numbers once
def train_epochs(loader, step, epochs, path):
    for epoch in range(epochs):
        for batch in loader:
            step(batch)
            torch.save({"loader": loader.state_dict(), "epoch": epoch}, path)
