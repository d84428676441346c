"""The networks that the notebooks train and save."""

import torch.nn.functional as F
from torch import Tensor, nn


class LeNet(nn.Module):
    """The document's network: two convolutions, three linear layers, 62,006 parameters.

    Takes images of shape (N, 3, 32, 32) and returns logits of shape (N, 10).
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = x.flatten(1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


class Encoder(nn.Module):
    """Images of shape (N, 3, 32, 32) to codes of shape (N, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.fc1 = nn.Linear(8 * 8 * 8, 64)
        self.fc2 = nn.Linear(64, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class Decoder(nn.Module):
    """Codes of shape (N, 16) to images of shape (N, 3, 32, 32), values from 0 to 1."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(16, 64)
        self.fc2 = nn.Linear(64, 8 * 8 * 8)
        self.conv = nn.ConvTranspose2d(8, 3, 4, stride=4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.fc2(F.relu(self.fc1(x))))
        return self.conv(x.unflatten(1, (8, 8, 8))).sigmoid()
