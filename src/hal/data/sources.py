"""The sources of raw data: which files, their SHA-256, and where their publishers keep them."""

import dataclasses
from collections.abc import Callable, Mapping
from types import ModuleType

from hal.errors import UserError


@dataclasses.dataclass(frozen=True)
class RawFile:
    """What identifies a file: its SHA-256 and its size in bytes, beyond which nothing is taken in."""

    sha256: str
    size: int


@dataclasses.dataclass(frozen=True)
class Source:
    """What a data set is made from.

    Attributes:
        name: folder of its files in a mirror and below data/raw/.
        forms: the forms in which it is published, each a complete set of files by name; any one of them is enough,
            and all give the same arrays. Empty where no file is needed.
        official: gives one mapping (file name -> URL) a server, in the order to try them.
        arrays_sha256: `Images.sha256()` of the decoded arrays, where it has been measured.
        torchvision: the folder below a root of torchvision's in which it keeps these files.
        images: how many there are to train and to test with.
        shape: of one, (H, W, C).
    """

    name: str
    forms: tuple[Mapping[str, RawFile], ...] = ()
    official: Callable[[], list[dict[str, str]]] = list
    arrays_sha256: str | None = None
    torchvision: str = ""
    images: tuple[int, int] = (0, 0)
    shape: tuple[int, int, int] = (0, 0, 0)


def _torchvision() -> ModuleType:
    # Imported only when an official address is needed: it takes seconds, and some machines lack it.
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise UserError(f"torchvision, which knows their addresses, cannot be imported ({error})") from None
    return datasets


def _mnist_urls() -> list[dict[str, str]]:
    mnist = _torchvision().MNIST
    return [{name: mirror + name for name, _ in mnist.resources} for mirror in mnist.mirrors]


def _cifar10_urls() -> list[dict[str, str]]:
    cifar10 = _torchvision().CIFAR10
    return [{cifar10.filename: cifar10.url}]


def _cifar100_urls() -> list[dict[str, str]]:
    cifar100 = _torchvision().CIFAR100
    return [{cifar100.filename: cifar100.url}]


def _svhn_urls() -> list[dict[str, str]]:
    splits = _torchvision().SVHN.split_list
    return [{splits[split][1]: splits[split][0] for split in ("train", "test")}]


_MNIST = {
    "train-images-idx3-ubyte.gz": RawFile(
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422
    ),
    "train-labels-idx1-ubyte.gz": RawFile(
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881
    ),
    "t10k-images-idx3-ubyte.gz": RawFile(
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877
    ),
    "t10k-labels-idx1-ubyte.gz": RawFile(
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542
    ),
}
_SVHN = {
    "train_32x32.mat": RawFile(
        "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8", 182_040_794
    ),
    "test_32x32.mat": RawFile("cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b", 64_275_384),
}
_CIFAR10_ARCHIVE = {
    "cifar-10-python.tar.gz": RawFile(
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce", 170_498_071
    ),
}
_CIFAR10_BINARY = {
    "data_batch_1.bin": RawFile(
        "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5", 30_730_000
    ),
    "data_batch_2.bin": RawFile(
        "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed", 30_730_000
    ),
    "data_batch_3.bin": RawFile(
        "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67", 30_730_000
    ),
    "data_batch_4.bin": RawFile(
        "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48", 30_730_000
    ),
    "data_batch_5.bin": RawFile(
        "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add", 30_730_000
    ),
    "test_batch.bin": RawFile("8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b", 30_730_000),
}
_CIFAR100_ARCHIVE = {
    "cifar-100-python.tar.gz": RawFile(
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7", 169_001_437
    ),
}
_CIFAR100_BINARY_ARCHIVE = {
    "cifar-100-binary.tar.gz": RawFile(
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec", 168_513_733
    ),
}
_CIFAR100_BINARY = {
    "train.bin": RawFile("f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29", 153_700_000),
    "test.bin": RawFile("d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a", 30_740_000),
}

SOURCES = {
    "mnist": Source(
        "mnist",
        torchvision="MNIST/raw",
        forms=(_MNIST,),
        official=_mnist_urls,
        arrays_sha256="bcfefabb806fd8dafafc004330fbb92fcd195e016a90ae613af7c3dd8409fb32",
        images=(60_000, 10_000),
        shape=(28, 28, 1),
    ),
    "svhn": Source("svhn", forms=(_SVHN,), official=_svhn_urls, images=(73_257, 26_032), shape=(32, 32, 3)),
    "cifar10": Source(
        "cifar10",
        forms=(_CIFAR10_ARCHIVE, _CIFAR10_BINARY),
        official=_cifar10_urls,
        arrays_sha256="87fc51ae5aa45d08a1c78a86eb032a5e1e7789cd0b5833a48cf43312578185c6",
        images=(50_000, 10_000),
        shape=(32, 32, 3),
    ),
    "cifar100": Source(
        "cifar100",
        forms=(_CIFAR100_ARCHIVE, _CIFAR100_BINARY_ARCHIVE, _CIFAR100_BINARY),
        official=_cifar100_urls,
        images=(50_000, 10_000),
        shape=(32, 32, 3),
    ),
    "digits": Source(
        "digits",
        arrays_sha256="4a1abb85fbb01a34b12b063cc60f4a27df3c6c6a53002a181f1dd505bf9a5679",
        images=(1_437, 360),
        shape=(8, 8, 1),
    ),
}
