# An exception that nobody catches.
def mean(numbers):
    return sum(numbers) / len(numbers)


print("the mean is")
print(mean([]))
