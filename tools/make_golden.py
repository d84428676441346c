"""Save a checkpoint as the torch that runs this writes it: ``python tools/make_golden.py``.

The file goes to tests/golden/, under the release's number. tests/test_golden.py opens all of them
with every torch that comes later. This script needs torch alone, of any release from 1.0 on: run it
in an environment of that release.
"""

import os

import torch
import torch.nn as nn
import torch.nn.functional as F

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden")


class LeNet(nn.Module):
    """The network of helpers/models.py, which an old release cannot import."""

    def __init__(self):
        super(LeNet, self).__init__()  # noqa: UP008
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = F.relu(self.fc1(x.view(-1, 16 * 5 * 5)))
        return self.fc3(F.relu(self.fc2(x)))


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
