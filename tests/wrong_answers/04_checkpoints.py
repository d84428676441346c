# %% not-trained: compares values
# gets 0 of 2: layer 1 was replaced by a copy of itself; expected ['1.weight', '1.bias'], got []
def not_trained(model, optimizer):
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [n for n, p in model.named_parameters() if not any(torch.equal(p, q) for q in held)]


# %% not-trained: looks at the first group only
# gets 1 of 2: expected ['1.weight', '1.bias'], got ['1.weight', '1.bias', '2.weight', '2.bias']
def not_trained(model, optimizer):
    held = {id(p) for p in optimizer.param_groups[0]["params"]}
    return [name for name, p in model.named_parameters() if id(p) not in held]


# %% not-trained: uses `in` on a list of tensors, which compares their elements
# gets 0 of 2: RuntimeError
def not_trained(model, optimizer):
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [name for name, p in model.named_parameters() if p not in held]


# %% not-trained: looks for parameters without a gradient
# gets 0 of 2: the optimizer holds the whole model; expected [], got ['0.weight'
def not_trained(model, optimizer):
    return [name for name, p in model.named_parameters() if p.grad is None]


# %% not-trained: goes through the state dict and reports the buffers
# gets 1 of 2: expected ['1.weight', '1.bias'], got ['1.weight', '1.bias', '1.running_mean'
def not_trained(model, optimizer):
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    tensors = model.state_dict(keep_vars=True)
    return [name for name, tensor in tensors.items() if id(tensor) not in held]


# %% resume: fixes the epoch and the mode, and still builds the scheduler last
# gets 0 of 4: the run was stopped after epoch 1, and at step 1 after that the loss is
def resume(path, model):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    model.train()
    optimizer = new_optimizer(model)
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler = new_scheduler(optimizer)
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: repeats the last epoch
# gets 0 of 4: epoch 1 is finished; expected 2 as the next epoch, got 1
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    model.train()
    return optimizer, scheduler, checkpoint["epoch"]


# %% resume: leaves the mode as it is
# gets 1 of 4: it is still in eval mode
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: loads no optimizer
# gets 0 of 4: the run was stopped after epoch 1, and at step 1 after that the loss is
def resume(path, model):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    model.train()
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: builds the optimizer over a copy of the model
# gets 0 of 4: the run was stopped after epoch 1, and at step 1 after that the loss is
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(copy.deepcopy(model))
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    model.train()
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: does not load the scheduler
# gets 0 of 4: the run was stopped after epoch 1, and at step
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    model.train()
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume-at: sets the rate before loading
# gets 0 of 3: resumed with a rate of 0.25, the optimizer has a rate of 0.5
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])


# %% resume-at: loads only the weights
# gets 1 of 3: momentum was saved as 0.8 in both, and is [0.9, 0.9]
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    for group in optimizer.param_groups:
        group["lr"] = lr


# %% resume-at: keeps the new settings and loads the states
# gets 1 of 3: momentum was saved as 0.8 in both, and is [0.9, 0.9]
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    groups = optimizer.state_dict()["param_groups"]
    state = checkpoint["optimizer_state_dict"]["state"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for group in optimizer.param_groups:
        group["lr"] = lr


# %% resume-at: sets the rate of the first group only
# gets 1 of 3: the rates of the two groups are [0.02,
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    optimizer.param_groups[0]["lr"] = lr


# %% resume-at: forgets where the old scheduler started
# gets 1 of 3: a new scheduler should start from 0.02 in both groups, and starts from [0.5, 0.05]
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    for group in optimizer.param_groups:
        group["lr"] = lr


# %% keep-best: remembers the best accuracy in the program
# gets 0 of 3: in another folder, with the accuracies [0.25, 0.375]: best.pt does not exist
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    if accuracy > getattr(keep, "best", -1):
        keep.best = accuracy
        torch.save(checkpoint, folder / "best.pt")
    torch.save(checkpoint, folder / "last.pt")


# %% keep-best: compares with the previous epoch
# gets 0 of 3: best.pt should hold epoch 1 and a weight of 1; it holds (3, 3.0)
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    last = folder / "last.pt"
    if not last.exists() or accuracy > torch.load(last)["accuracy"]:
        torch.save(checkpoint, folder / "best.pt")
    torch.save(checkpoint, last)


# %% keep-best: remembers the best accuracy of each folder
# gets 1 of 3: the epoch, accuracy and weight (1, 0.875, 1); it holds (2, 0.75, 2.0)
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    best = vars(keep).setdefault("best", {})
    if accuracy > best.get(folder, -1):
        best[folder] = accuracy
        torch.save(checkpoint, folder / "best.pt")
    torch.save(checkpoint, folder / "last.pt")


# %% keep-best: takes the later of two equal accuracies
# gets 1 of 3: the epoch, accuracy and weight (1, 0.75, 1); it holds (2, 0.75, 2.0)
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    best = folder / "best.pt"
    if not best.exists() or accuracy >= torch.load(best)["accuracy"]:
        torch.save(checkpoint, best)
    torch.save(checkpoint, folder / "last.pt")


# %% keep-best: writes last.pt only if it is not the best
# gets 0 of 3: last.pt should hold epoch 1 and a weight of 1; it holds (0, 0.0)
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    best = folder / "best.pt"
    better = not best.exists() or accuracy > torch.load(best)["accuracy"]
    torch.save(checkpoint, best if better else folder / "last.pt")
    if not (folder / "last.pt").exists():
        torch.save(checkpoint, folder / "last.pt")


# %% keep-best: starts from an accuracy of 0
# gets 1 of 3: the accuracies [0.0, 0.0], whose first epoch is 0: best.pt does not exist
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    best = folder / "best.pt"
    if accuracy > (torch.load(best)["accuracy"] if best.exists() else 0):
        torch.save(checkpoint, best)
    torch.save(checkpoint, folder / "last.pt")


# %% keep-best: assumes that the first epoch is epoch 0
# gets 1 of 3: whose first epoch is 10: epoch 10 raised FileNotFoundError
def keep(folder, epoch, model, optimizer, accuracy):
    checkpoint = {
        "epoch": epoch,
        "accuracy": accuracy,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
    }
    best = folder / "best.pt"
    if epoch == 0 or accuracy > torch.load(best)["accuracy"]:
        torch.save(checkpoint, best)
    torch.save(checkpoint, folder / "last.pt")


# %% optimizer-kind: compares nothing
# gets 0 of 4: saved with SGD, loaded into AdamW: expected a ValueError, and none came
def save_checkpoint(path, model, optimizer):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: saves the class itself
# gets 0 of 4: Weights only load failed
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer), **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    if checkpoint["class"] is not type(optimizer):
        raise ValueError(f"saved with {checkpoint['class']}, not with {type(optimizer)}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: saves the class itself, and loads with weights_only=False
# gets 1 of 4: saved with Adam: torch.load(path) refuses the file: UnpicklingError('Weights only
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer), **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path, weights_only=False)
    if checkpoint["class"] is not type(optimizer):
        raise ValueError(f"saved with {checkpoint['class']}, not with {type(optimizer)}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: recognises the class by the names of the settings
# gets 0 of 4: saved with SGD, loaded into AdamW: the error does not name ['SGD']
def save_checkpoint(path, model, optimizer):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    saved = checkpoint["optimizer"]["param_groups"][0]
    if saved.keys() != optimizer.param_groups[0].keys():
        raise ValueError(f"{sorted(saved)} are not the settings of {type(optimizer).__name__}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: accepts AdamW for Adam, its base class
# gets 1 of 4: saved with Adam, loaded into AdamW: expected a ValueError, and none came
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer).__name__, **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    if not isinstance(optimizer, getattr(torch.optim, checkpoint["class"])):
        raise ValueError(f"saved with {checkpoint['class']}, not {type(optimizer).__name__}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: changes the model before comparing
# gets 1 of 4: saved with Adam, loaded into AdamW: expected weight
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer).__name__, **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    if checkpoint["class"] != type(optimizer).__name__:
        raise ValueError(f"saved with {checkpoint['class']}, not {type(optimizer).__name__}")
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: accepts a file that lacks a key
# gets 1 of 4: a file without running_mean: expected the RuntimeError of load_state_dict
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer).__name__, **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    if checkpoint["class"] != type(optimizer).__name__:
        raise ValueError(f"saved with {checkpoint['class']}, not {type(optimizer).__name__}")
    model.load_state_dict(checkpoint["model"], strict=False)
    optimizer.load_state_dict(checkpoint["optimizer"])
