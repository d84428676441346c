"""Save a checkpoint as the torch that runs this writes it: ``python tools/make_golden.py``.

The file goes to tests/golden/, under the release's number. tests/test_golden.py opens all of them
with every torch that comes later. For an older release, run it in an environment that has that
release and nothing else: ``PYTHONPATH=. python tools/make_golden.py``.
"""

import os

import torch
import torch.nn.functional as F

from helpers.models import LeNet

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden")


def main():
    torch.manual_seed(0)
    images = torch.linspace(-1, 1, 4 * 3 * 32 * 32).view(4, 3, 32, 32)
    model = LeNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), torch.arange(4))
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = model.eval()(images)
    release = str(torch.__version__).partition("+")[0]
    path = os.path.join(FOLDER, "checkpoint-torch-{}.tar".format(release))  # noqa: UP032
    checkpoint = {
        "epoch": 3,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "loss": loss.item(),
        "logits": logits,
        "torch_version": str(torch.__version__),
    }
    torch.save(checkpoint, path)
    print(os.path.normpath(path))


if __name__ == "__main__":
    main()
