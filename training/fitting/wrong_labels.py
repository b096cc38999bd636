"""Photos of the training pool whose label is wrong or ambiguous.

Chosen by eye. Each is identified by the first 16 digits of its file's sha256, so no photo of another data set is left
out by accident.
"""

WRONG_LABELS = (
    "6e7594ae642254fa",  # cat.3216
    "239c2c785ec9ca5c",  # cat.3672
    "2299fc9f91c4f673",  # cat.3822: with a dog
    "65d47806b8c1076e",  # cat.5351
    "0388315fb98be40b",  # cat.5418
    "cc5be923fa7954fb",  # cat.5583: with a dog
    "73890a746172b1bc",  # cat.724: a dog with a kitten
    "ad27e2cb503bf052",  # cat.7377
    "962352ef5a01f5d4",  # cat.7564
    "27f0e085798a8570",  # cat.7920: with a dog
    "dbd8f539f39cbca7",  # cat.8456
    "595ddd13676e3f3e",  # cat.9171
    "e1bd7eca7c8666a1",  # cat.10029
    "896e85130ce6b625",  # cat.10266: with a dog
    "16989576929ae025",  # cat.10712
    "c83cfe880d19de58",  # cat.11184
    "ef709e3813c017fe",  # cat.11222: with a dog
    "76a1b9e90f88cdfd",  # cat.11565: the same drawing
    "739ddf1b1e33fef8",  # cat.11724: with a dog
    "41e579de8618c1eb",  # cat.12272
    "8c1568a4f447210a",  # dog.1043
    "9f7ae326503105cb",  # dog.1194
    "c0856bd8e67d7ecd",  # dog.1308
    "a2c74017c6dfdcdc",  # dog.1773
    "b2f213d45a31801d",  # dog.2614
    "872696e011573a88",  # dog.2877, dog.10401 and dog.10797: a drawing of a cat
    "46a7fabfd6991d51",  # dog.5604
    "b9b12797e41cd695",  # dog.6475
    "1dd56d0d2c86384f",  # dog.8736
    "7aaf5c0f33020d80",  # dog.9517
    "0d217fedb53a85d5",  # dog.10161
    "36e5c3906e8c2f11",  # dog.10237
    "31012955fe491dc1",  # dog.10747
    "8d52398fc591a4fa",  # dog.10801
    "20039a594e8c9de3",  # dog.11299
    "ecd809e5c108331b",  # dog.11731: a cat
    "90dcee6804414416",  # dog.12376
)
