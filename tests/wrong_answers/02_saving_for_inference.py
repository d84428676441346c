# %% load-for-inference: forgets eval()
# gets 0 of 2: the model is in train mode, so it is not ready for inference
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path))
    return model


# %% load-for-inference: returns the result of load_state_dict
# gets 0 of 2: expected the model, got a _IncompatibleKeys
def load_for_inference(model, path):
    return model.eval().load_state_dict(torch.load(path))


# %% load-for-inference: passes weights_only to the wrong function
# gets 0 of 2: unexpected keyword argument 'weights_only'
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path), weights_only=True)
    return model.eval()


# %% load-for-inference: switches the safe loader off
# gets 1 of 2: a file that calls os.mkdir: it ran and made a folder
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path, weights_only=False))
    return model.eval()


# %% load-for-inference: continues with the initial weights
# gets 1 of 2: expected the UnpicklingError of torch.load, got None
def load_for_inference(model, path):
    with contextlib.suppress(pickle.UnpicklingError):
        model.load_state_dict(torch.load(path))
    return model.eval()


# %% load-for-inference: accepts a file that lacks a key
# gets 1 of 2: a file without 1.running_var: expected the RuntimeError of load_state_dict
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path), strict=False)
    return model.eval()


# %% predict: leaves the model in eval mode
# gets 0 of 4: the model was in train mode before predict, and is in eval mode after it
def predict(model, images):
    model.eval()
    with torch.inference_mode():
        return model(images)


# %% predict: forgets eval()
# gets 0 of 4: in one call, and
def predict(model, images):
    with torch.inference_mode():
        return model(images)


# %% predict: considers inference_mode() unnecessary
# gets 0 of 4: the logits were recorded for gradients
def predict(model, images):
    model.eval()
    logits = model(images)
    model.train()
    return logits


# %% predict: puts layers that were in eval mode into train mode
# gets 1 of 4: training of '0.1' was False, and is True after predict
@torch.inference_mode()
def predict(model, images):
    was_training = model.training
    logits = model.eval()(images)
    model.train(was_training)
    return logits


# %% predict: always returns to train mode
# gets 1 of 4: training of '0.1' was False, and is True after predict
@torch.no_grad()
def predict(model, images):
    model.eval()
    logits = model(images)
    model.train()
    return logits


# %% predict: does not restore the modes after an error
# gets 1 of 4: training of 'the model' was True, and is False after the model raised an error
@torch.inference_mode()
def predict(model, images):
    modes = {module: module.training for module in model.modules()}
    logits = model.eval()(images)
    for module, mode in modes.items():
        module.training = mode
    return logits


# %% predict: switches gradients off permanently
# gets 1 of 4: gradients are switched off for the whole program
def predict(model, images):
    was_training = model.training
    torch.set_grad_enabled(False)
    logits = model.eval()(images)
    model.train(was_training)
    return logits


# %% what-is: looks at the first bytes and never at the end
# gets 0 of 3: what_is('cut.pt') should return 'cut off', and returned 'pytorch'
def what_is(path):
    kinds = {b"PK": "pytorch", b"ve": "lfs pointer", b"<!": "web page", b"": "empty"}
    return kinds.get(Path(path).read_bytes()[:2], "unknown")


# %% what-is: calls torch.load, and mistakes a refused file for a broken one
# gets 1 of 3: what_is('entire model.dat') should return 'pytorch', and returned 'cut off'
def what_is(path):
    content = Path(path).read_bytes()
    if not content:
        return "empty"
    if content.startswith(b"version https://git-lfs"):
        return "lfs pointer"
    if content.strip().lower().startswith(b"<"):
        return "web page"
    try:
        torch.load(path)
    except Exception:
        return "cut off" if content.startswith(b"PK") else "unknown"
    return "pytorch"


# %% what-is: loads the file to see
# gets 1 of 3: ran code from the file
def what_is(path):
    start = Path(path).read_bytes()[:1000]
    if not start:
        return "empty"
    if start.startswith(b"PK\x03\x04"):
        try:
            torch.load(path, weights_only=False)
        except RuntimeError:
            return "cut off"
        except OSError:
            return "cut off"
        return "pytorch"
    if start.startswith(b"version https://git-lfs"):
        return "lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    return "unknown"


# %% what-is: mistakes every archive for a PyTorch file
# gets 1 of 3: what_is('notes.pt') should return 'unknown', and returned 'pytorch'
def what_is(path):
    start = Path(path).read_bytes()[:1000]
    if not start:
        return "empty"
    if start.startswith(b"PK\x03\x04"):
        return "pytorch" if zipfile.is_zipfile(path) else "cut off"
    if start.startswith(b"version https://git-lfs"):
        return "lfs pointer"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "web page"
    return "unknown"


# %% what-is: reads every file as text
# gets 0 of 3: what_is('whole.pt') raised UnicodeDecodeError
def what_is(path):
    text = Path(path).read_text(encoding="utf-8")
    if text.startswith("version https://git-lfs"):
        return "lfs pointer"
    if text.strip().lower().startswith(("<!doctype html", "<html")):
        return "web page"
    return "unknown" if text else "empty"


# %% what-is: looks for the words anywhere
# gets 1 of 3: what_is('about html.pt') should return 'unknown', and returned 'web page'
def what_is(path):
    content = Path(path).read_bytes()
    if not content:
        return "empty"
    if zipfile.is_zipfile(path):
        names = zipfile.ZipFile(path).namelist()
        return "pytorch" if any(name.endswith("data.pkl") for name in names) else "unknown"
    if content.startswith(b"PK"):
        return "cut off"
    if b"https://git-lfs" in content:
        return "lfs pointer"
    return "web page" if b"html" in content.lower() else "unknown"


# %% save-package: saves the whole namespace
# gets 0 of 4: GLOBAL argparse.Namespace was not an allowed global
def save_package(model, args, classes, path):
    names = classes.astype(str).tolist()
    torch.save({"state_dict": model.state_dict(), "config": args, "classes": names}, path)


# %% save-package: saves everything in the namespace
# gets 0 of 4: was not an allowed global
def save_package(model, args, classes, path):
    config = vars(args) | {"outputs": len(classes)}
    names = classes.astype(str).tolist()
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: leaves the names in a NumPy array
# gets 0 of 4: GLOBAL numpy
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": classes}, path)


# %% save-package: saves a list of NumPy strings
# gets 0 of 4: GLOBAL numpy
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    names = list(classes)
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: saves NumPy scalars
# gets 1 of 4: GLOBAL numpy
def save_package(model, args, classes, path):
    config = {"features": args.features, "hidden": args.hidden, "outputs": len(classes)}
    names = classes.astype(str).tolist()
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: saves the parameters and forgets the statistics
# gets 1 of 4: Missing key(s) in state_dict: "1.running_mean"
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    weights = {name: parameter.data for name, parameter in model.named_parameters()}
    names = classes.astype(str).tolist()
    torch.save({"state_dict": weights, "config": config, "classes": names}, path)


# %% save-package: sorts the names
# gets 1 of 4: receive.py should print
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    names = sorted(classes.astype(str).tolist())
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: leaves numbers as names
# gets 1 of 4: expected the names ['0', '1', '2', '3'], got [0, 1, 2, 3]
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    names = classes.tolist()
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)
