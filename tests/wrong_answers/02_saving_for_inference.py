# %% load-for-inference: returns what load_state_dict returns
# gets 0 of 2: what came back is a _IncompatibleKeys
def load_for_inference(model, path):
    return model.eval().load_state_dict(torch.load(path))


# %% load-for-inference: forgets eval()
# gets 1 of 2: in train mode, and so not ready for inference
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path))
    return model


# %% load-for-inference: the argument is left on the wrong function
# gets 0 of 2: unexpected keyword argument 'weights_only'
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path), weights_only=True)
    return model.eval()


# %% load-for-inference: switches the safe loader off
# gets 1 of 2: it could have done anything
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path, weights_only=False))
    return model.eval()


# %% load-for-inference: goes on with the weights that it began with
# gets 1 of 2: expected the UnpicklingError of torch.load, got None
def load_for_inference(model, path):
    with contextlib.suppress(pickle.UnpicklingError):
        model.load_state_dict(torch.load(path))
    return model.eval()


# %% load-for-inference: is content with what the file has
# gets 1 of 2: a file without 1.running_var: expected the RuntimeError of load_state_dict
def load_for_inference(model, path):
    model.load_state_dict(torch.load(path), strict=False)
    return model.eval()


# %% predict: forgets eval()
# gets 0 of 4: Expected more than 1 value per channel when training
def predict(model, images):
    with torch.inference_mode():
        return model(images)


# %% predict: takes inference_mode() for unnecessary
# gets 0 of 4: the logits were recorded for gradients
def predict(model, images):
    model.eval()
    logits = model(images)
    model.train()
    return logits


# %% predict: leaves the model in eval mode
# gets 1 of 4: training of 'the model' was True, and is False
def predict(model, images):
    model.eval()
    with torch.inference_mode():
        return model(images)


# %% predict: wakes up the layers that were in eval mode
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


# %% predict: switches the gradients off for good
# gets 1 of 4: gradients are switched off for the whole program
def predict(model, images):
    was_training = model.training
    torch.set_grad_enabled(False)
    logits = model.eval()(images)
    model.train(was_training)
    return logits


# %% what-is: goes by the first bytes and never looks at the end
# gets 0 of 3: what_is('cut.pt') should be 'cut off', and is 'pytorch'
def what_is(path):
    kinds = {b"PK": "pytorch", b"ve": "lfs pointer", b"<!": "web page", b"": "empty"}
    return kinds.get(Path(path).read_bytes()[:2], "unknown")


# %% what-is: asks torch.load, and takes a refused file for a broken one
# gets 1 of 3: what_is of the file 'entire model.dat' should be 'pytorch', and is 'cut off'
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
# gets 1 of 3: ran what is in the file
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


# %% what-is: takes every archive for PyTorch's
# gets 1 of 3: what_is of the file 'notes.pt' should be 'unknown', and is 'pytorch'
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
# gets 0 of 3: codec can't decode
def what_is(path):
    text = Path(path).read_text(encoding="utf-8")
    if text.startswith("version https://git-lfs"):
        return "lfs pointer"
    if text.strip().lower().startswith(("<!doctype html", "<html")):
        return "web page"
    return "unknown" if text else "empty"


# %% what-is: looks for the words anywhere
# gets 1 of 3: what_is of the file 'about html.pt' should be 'unknown', and is 'web page'
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


# %% save-package: hands the whole namespace on
# gets 0 of 4: GLOBAL argparse.Namespace was not an allowed global
def save_package(model, args, classes, path):
    names = classes.astype(str).tolist()
    torch.save({"state_dict": model.state_dict(), "config": args, "classes": names}, path)


# %% save-package: hands on all that is in the namespace
# gets 0 of 4: was not an allowed global
def save_package(model, args, classes, path):
    config = vars(args) | {"outputs": len(classes)}
    names = classes.astype(str).tolist()
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: leaves the names in a numpy array
# gets 0 of 4: GLOBAL numpy
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": classes}, path)


# %% save-package: a list of numpy's strings
# gets 0 of 4: GLOBAL numpy
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    names = list(classes)
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: hands numpy's numbers on
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
# gets 1 of 4: the receiver should read
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    names = sorted(classes.astype(str).tolist())
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)


# %% save-package: leaves numbers as names
# gets 1 of 4: should be saved as the names ['0', '1', '2', '3'], and are [0, 1, 2, 3]
def save_package(model, args, classes, path):
    config = {"features": int(args.features), "hidden": int(args.hidden), "outputs": len(classes)}
    names = classes.tolist()
    torch.save({"state_dict": model.state_dict(), "config": config, "classes": names}, path)
