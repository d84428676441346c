"""Save a checkpoint with the installed version of torch: ``python tools/make_golden.py``.

The file is written to tests/golden/, under the version's number. tests/test_golden.py opens all of
these files with later versions. For an older version, run this program in an environment that
contains only that version: ``PYTHONPATH=. python tools/make_golden.py``.
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
