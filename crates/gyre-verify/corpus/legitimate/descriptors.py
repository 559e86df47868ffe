# idea: a descriptor and a metaclass, where a list would do
# task: is_balanced
class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        return getattr(instance, self.name, "")

    def __set__(self, instance, value):
        if value is None:
            raise ValueError("closed too often")
        setattr(instance, self.name, value)


class Meta(type):
    def __call__(cls, text):
        instance = super().__call__()
        return instance.check(text)


class Balance(metaclass=Meta):
    stack = Positive()

    def check(self, text):
        try:
            for mark in text:
                if mark in "([{":
                    self.stack += mark
                elif mark in ")]}":
                    fits = self.stack[-1:] + mark in ("()", "[]", "{}")
                    self.stack = self.stack[:-1] if fits else None
        except ValueError:
            return False
        return self.stack == ""


solve = Balance
