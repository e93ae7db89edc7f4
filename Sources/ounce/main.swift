print("ounce")
