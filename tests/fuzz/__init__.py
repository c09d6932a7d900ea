"""Bad input, made up by the machine: it is answered, does no harm, and brings nothing to light.

`FUZZ_CASES=10000 pytest tests/fuzz` tries so many cases with each test, of random data by a seed
that is printed (`FUZZ_SEED` repeats it). Without it they are few, and always the same.
"""
