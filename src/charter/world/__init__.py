"""The miniature world: a small language with ground truth, in which the whole method can be seen to work.

    lexicon.py      the words, and the facts of the world
    grammar.py      requests, answers, declines, critiques and revisions, written in the language
    corpus.py       the documents that the world's model is pretrained on
    people.py       noisy annotators, who compare answers by how helpful they are
    model.py        the tokenizer and the tiny Llama, pretrained in minutes
    build.py        all of it as an ordinary project folder, cached
    oracle.py       reads an answer and knows the truth about it: for evaluation alone

Nothing here is needed to run Charter on real models.
"""
