"""Generation against a simulated server: `python -m benchmarks.generation`.

options       what the server simulates
batching      slots, the queue before them, and how busy they were
replies       texts that depend on the messages and the seed alone, as OpenAI-compatible JSON
server        the HTTP server, and `serve` to start one
"""
