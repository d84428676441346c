# %% not-trained: compares values
# gets 1 of 2: expected all 6 names, not []
def not_trained(model, optimizer):
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [n for n, p in model.named_parameters() if not any(torch.equal(p, q) for q in held)]


# %% not-trained: looks at the first group alone
# gets 1 of 2: not_trained gave ['1.weight', '1.bias', '2.weight', '2.bias']
def not_trained(model, optimizer):
    held = {id(p) for p in optimizer.param_groups[0]["params"]}
    return [name for name, p in model.named_parameters() if id(p) not in held]


# %% not-trained: asks a list of tensors with in, which compares their elements
# gets 0 of 2: RuntimeError
def not_trained(model, optimizer):
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [name for name, p in model.named_parameters() if p not in held]


# %% not-trained: looks for parameters without a gradient
# gets 0 of 2: the optimizer holds all of the model
def not_trained(model, optimizer):
    return [name for name, p in model.named_parameters() if p.grad is None]


# %% not-trained: goes through the state dict, and reports the buffers
# gets 1 of 2: not_trained gave ['1.weight', '1.bias', '1.running_mean'
def not_trained(model, optimizer):
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    tensors = model.state_dict(keep_vars=True)
    return [name for name, tensor in tensors.items() if id(tensor) not in held]


# %% resume: mends the epoch and the mode, and still builds the scheduler last
# gets 1 of 4: the next rate is 0.200, and after resume it is 0.020
def resume(path, model):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    model.train()
    optimizer = new_optimizer(model)
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler = new_scheduler(optimizer)
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: does the last epoch again
# gets 0 of 4: so the next one is 1, and resume returned 0
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
# gets 1 of 4: the model came in eval mode
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: loads no optimizer
# gets 0 of 4: the losses part at step 1
def resume(path, model):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model"])
    model.train()
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    scheduler.load_state_dict(checkpoint["scheduler"])
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: builds the optimizer over a model of its own
# gets 0 of 4: the losses part at step 1
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(copy.deepcopy(model))
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    scheduler.load_state_dict(checkpoint["scheduler"])
    model.train()
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume: leaves the scheduler at its start
# gets 0 of 4: the losses part at step
def resume(path, model):
    checkpoint = torch.load(path)
    optimizer = new_optimizer(model)
    scheduler = new_scheduler(optimizer)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    model.train()
    return optimizer, scheduler, checkpoint["epoch"] + 1


# %% resume-at: sets the rate before the load
# gets 0 of 3: the optimizer has 0.5
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])


# %% resume-at: loads the weights alone
# gets 1 of 3: was saved as 0.8
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    for group in optimizer.param_groups:
        group["lr"] = lr


# %% resume-at: keeps the new settings and takes the states
# gets 1 of 3: was saved as 0.8 in both groups, and is [0.9, 0.9]
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    groups = optimizer.state_dict()["param_groups"]
    state = checkpoint["optimizer_state_dict"]["state"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for group in optimizer.param_groups:
        group["lr"] = lr


# %% resume-at: sets the first group alone
# gets 1 of 3: both groups go on at 0.02
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    optimizer.param_groups[0]["lr"] = lr


# %% resume-at: forgets where the old scheduler started
# gets 1 of 3: starts from 0.02, and here from [0.5, 0.05]
def resume_at(path, model, optimizer, lr):
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    for group in optimizer.param_groups:
        group["lr"] = lr


# %% keep-best: compares with the epoch before
# gets 1 of 3: after accuracies of [0.5, 0.9, 0.6, 0.8], best.pt should hold
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


# %% keep-best: remembers the best in the program
# gets 1 of 3: the accuracies were [0.25, 0.375]
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


# %% keep-best: takes the later of two that are equal
# gets 1 of 3: after accuracies of [0.5, 0.75, 0.75, 0.5], best.pt should hold
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


# %% keep-best: writes the last only if it is not the best
# gets 1 of 3: after accuracies of [0.25, 0.375], last.pt should hold
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
# gets 1 of 3: the accuracies were [0.0, 0.0]
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


# %% keep-best: takes epoch 0 for the first
# gets 1 of 3: the run began with epoch 10, and keep failed
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
# gets 0 of 4: saved with SGD, loaded into AdamW, and no ValueError came
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


# %% optimizer-kind: saves the class itself, and loads whatever a pickle runs
# gets 1 of 4: Weights only load failed
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer), **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path, weights_only=False)
    if checkpoint["class"] is not type(optimizer):
        raise ValueError(f"saved with {checkpoint['class']}, not with {type(optimizer)}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: tells the kind by the names of the settings
# gets 0 of 4: the error does not name ['SGD']
def save_checkpoint(path, model, optimizer):
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    saved = checkpoint["optimizer"]["param_groups"][0]
    if saved.keys() != optimizer.param_groups[0].keys():
        raise ValueError(f"{sorted(saved)} are not the settings of {type(optimizer).__name__}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: takes an AdamW for an Adam, since it is derived from it
# gets 1 of 4: saved with Adam, loaded into AdamW, and no ValueError came
def save_checkpoint(path, model, optimizer):
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"class": type(optimizer).__name__, **states}, path)


def load_checkpoint(path, model, optimizer):
    checkpoint = torch.load(path)
    if not isinstance(optimizer, getattr(torch.optim, checkpoint["class"])):
        raise ValueError(f"saved with {checkpoint['class']}, not {type(optimizer).__name__}")
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


# %% optimizer-kind: changes the model before it compares
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


# %% optimizer-kind: is content with what the file has
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
